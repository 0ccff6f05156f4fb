"""Whether a job's timeline tells everything that happened to it, once, and nothing else."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from bench.simulate.violations import expect, expect_equal
from gpupool.events.model import Event
from gpupool.jobs.model import Job
from gpupool.units.model import Unit, UnitStatus

_BAD = {"job.failed", "unit.failed", "unit.retried"}


def check_story(job: Job, units: Iterable[Unit], events: Iterable[Event]) -> None:
    """Of a job that has ended. ``units``: those of whose records none was given up; recovery tells a job's own life alone."""
    told = list(events)
    expect(len({event.id for event in told}) == len(told), f"{job.id} tells nothing twice", told)
    expect(all(event.data["failure"]["code"] for event in told if event.type in _BAD), f"{job.id} tells causes", told)
    mine = [str(event.type) for event in told if event.type.startswith("job.")]
    expected = ["job.created", "job.started", "job.cancel_requested", f"job.{job.status}"]
    happened = (True, job.started_at is not None, job.cancel_requested_at is not None, True)
    wanted = sorted(kind for kind, did in zip(expected, happened, strict=True) if did)
    expect_equal(sorted(mine), wanted, f"{job.id} tells its own life")
    by_unit: dict[object, list[Event]] = defaultdict(list)
    for event in told:
        by_unit[event.data.get("unit_id")].append(event)
    for unit in units:
        _check_unit(unit, by_unit[unit.id])


def _check_unit(unit: Unit, events: list[Event]) -> None:
    kinds = Counter(str(event.type) for event in events)
    attempts: dict[str, list[int]] = {"unit.started": [], "unit.retried": []}
    for event in events:
        if event.type in attempts:
            attempts[event.type].append(event.data["attempt"])
    what = f"the story of {unit.id}"
    expect_equal(kinds["unit.queued"], int(unit.queued_at is not None), f"{what}: queued")
    expect_equal(attempts["unit.started"], list(range(1, unit.attempt + 1)), f"{what}: started")
    expect_equal(kinds["unit.completed"], int(unit.status is UnitStatus.COMPLETED), f"{what}: completed")
    expect_equal(kinds["unit.failed"], int(unit.status is UnitStatus.FAILED), f"{what}: failed")
    # Every attempt but the last was retried; the last one too when the unit ended in the queue.
    ended_in_queue = unit.attempt in attempts["unit.retried"]
    expect_equal(attempts["unit.retried"], list(range(1, unit.attempt + ended_in_queue)), f"{what}: retried")
    if unit.status is UnitStatus.CANCELLED:
        ran = int(unit.attempt > 0 and not ended_in_queue)
        expect_equal(kinds["unit.cancelled"], ran, f"{what}: cancelled")
