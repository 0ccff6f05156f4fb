"""Whether a job's timeline tells everything that happened to it, once, and nothing else."""

from collections import Counter

from gpupool.events.model import Event
from gpupool.jobs.model import Job
from gpupool.units.model import Unit, UnitStatus

_BAD = {"job.failed", "unit.failed", "unit.retried"}


def check_story(job: Job, units: tuple[Unit, ...], events: list[Event]) -> None:
    """Of a job that has ended and whose records were all delivered."""
    assert len({event.id for event in events}) == len(events)
    assert all(event.data["failure"]["code"] for event in events if event.type in _BAD)
    mine = [str(event.type) for event in events if event.type.startswith("job.")]
    expected = ["job.created", "job.started", "job.cancel_requested", f"job.{job.status}"]
    happened = (True, job.started_at is not None, job.cancel_requested_at is not None, True)
    assert sorted(mine) == sorted(kind for kind, told in zip(expected, happened, strict=True) if told)
    for unit in units:
        _check_unit(unit, [event for event in events if event.data.get("unit_id") == unit.id])


def _check_unit(unit: Unit, events: list[Event]) -> None:
    kinds = Counter(str(event.type) for event in events)
    attempts = {
        kind: [event.data["attempt"] for event in events if event.type == kind] for kind in ("unit.started", "unit.retried")
    }
    assert kinds["unit.queued"] == (unit.queued_at is not None)
    assert attempts["unit.started"] == list(range(1, unit.attempt + 1))
    assert kinds["unit.completed"] == (unit.status is UnitStatus.COMPLETED)
    assert kinds["unit.failed"] == (unit.status is UnitStatus.FAILED)
    # Every attempt but the last was retried; the last one too when the unit ended in the queue.
    ended_in_queue = unit.attempt in attempts["unit.retried"]
    assert attempts["unit.retried"] == list(range(1, unit.attempt + ended_in_queue))
    if unit.status is UnitStatus.CANCELLED:
        assert kinds["unit.cancelled"] == (unit.attempt > 0 and not ended_in_queue)
