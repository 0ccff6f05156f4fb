"""The filters before the stream functions, as rows see them. tests/infra holds the deployed ones to these."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bench.simulate.streams import Change
from gpupool.events.model import SUBSCRIBABLE, Event
from gpupool.jobs.model import Job
from gpupool.units.model import Unit
from gpupool.workflow.outbox import Outbox

Row = Job | Unit | Event
# attribute -> the values that pass; None: any value, as long as there is one
Wanted = dict[str, tuple[str, ...] | None]


@dataclass(frozen=True)
class Filter:
    """Passes a write whose images hold what is wanted; only that of a new row when ``insert``."""

    new: Wanted = field(default_factory=dict)
    old: Wanted | None = None
    insert: bool = False


Filters = tuple[Filter, ...]
LIVE = ("queued", "planning", "running")
JOB_WRITTEN: Filters = (
    Filter(insert=True),
    Filter(new={"cancel_requested_at": None, "status": LIVE}),
    Filter(old={"status": ("planning",)}, new={"status": ("running",)}),
    Filter(old={"status": LIVE}, new={"status": ("completed", "failed", "cancelled")}),
)
UNIT_WRITTEN: Filters = (
    Filter(new={"status": ("queued", "completed", "failed", "rejected")}),
    Filter(new={"status": ("running",), "progress_stage": ("claimed",)}),
    Filter(old={"status": ("running",)}, new={"status": ("cancelled",)}),
)
EVENT_WRITTEN: Filters = (Filter(insert=True, new={"type": tuple(sorted(SUBSCRIBABLE))}),)


def passes(before: Row | None, after: Row) -> bool:
    """Whether a write reaches its function."""
    return any(_passes(each, before, after) for each in _filters(after))


def what_follows(outbox: Outbox, change: Change) -> Callable[[], None]:
    """What the function behind the stream does with a record that reaches it."""
    act: Callable[[Any, Any], None] = outbox.job_written if isinstance(change.after, Job) else outbox.unit_written
    return partial(act, change.before, change.after)


def pattern(each: Filter) -> dict[str, Any]:
    """The filter as the event source mapping spells it."""
    wanted = {"OldImage": each.old, "NewImage": each.new}
    images = {image: _attributes(attributes) for image, attributes in wanted.items() if attributes}
    return ({"eventName": ["INSERT"]} if each.insert else {}) | ({"dynamodb": images} if images else {})


def _filters(row: Row) -> Filters:
    match row:
        case Job():
            return JOB_WRITTEN
        case Unit():
            return UNIT_WRITTEN
        case Event():
            return EVENT_WRITTEN


def _passes(each: Filter, before: Row | None, after: Row) -> bool:
    if each.insert and before is not None:
        return False
    return _holds(after, each.new) and (each.old is None or (before is not None and _holds(before, each.old)))


def _holds(row: Row, wanted: Wanted) -> bool:
    for name, values in wanted.items():
        found = getattr(row, name)
        if found is None if values is None else found not in values:
            return False
    return True


def _attributes(wanted: Wanted) -> dict[str, Any]:
    return {name: {"S": [{"exists": True}] if values is None else list(values)} for name, values in wanted.items()}
