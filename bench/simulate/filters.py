"""The filters before the stream functions, as rows see them. tests/infra holds the deployed ones to these."""

from dataclasses import dataclass, field
from typing import Any

from gpupool.jobs.model import Job
from gpupool.units.model import Unit

Row = Job | Unit
# attribute -> the values that pass; None: any value, as long as there is one
Wanted = dict[str, tuple[str, ...] | None]


@dataclass(frozen=True)
class Filter:
    """Passes a new row when ``insert``, else a write whose images hold what is wanted."""

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


def passes(before: Row | None, after: Row) -> bool:
    """Whether a write reaches its function."""
    filters = JOB_WRITTEN if isinstance(after, Job) else UNIT_WRITTEN
    return any(_passes(each, before, after) for each in filters)


def pattern(each: Filter) -> dict[str, Any]:
    """The filter as the event source mapping spells it."""
    if each.insert:
        return {"eventName": ["INSERT"]}
    images = {"NewImage": each.new} if each.old is None else {"OldImage": each.old, "NewImage": each.new}
    return {"dynamodb": {image: _attributes(wanted) for image, wanted in images.items()}}


def _passes(each: Filter, before: Row | None, after: Row) -> bool:
    if each.insert:
        return before is None
    return _holds(after, each.new) and (each.old is None or (before is not None and _holds(before, each.old)))


def _holds(row: Row, wanted: Wanted) -> bool:
    for name, values in wanted.items():
        found = getattr(row, name)
        if found is None if values is None else found not in values:
            return False
    return True


def _attributes(wanted: Wanted) -> dict[str, Any]:
    return {name: {"S": [{"exists": True}] if values is None else list(values)} for name, values in wanted.items()}
