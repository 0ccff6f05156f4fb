"""What a job needs next: pure decisions over its rows."""

from datetime import datetime, timedelta

from gpupool.jobs.model import Job, JobStatus
from gpupool.units.decide import is_ready
from gpupool.units.model import Failure, Unit, UnitStatus
from gpupool.workflow.model import Outcome

_ON_ITS_WAY = timedelta(minutes=5)
_BROKEN = frozenset({UnitStatus.FAILED, UnitStatus.REJECTED})
_ENDED: dict[JobStatus, Outcome] = {
    JobStatus.COMPLETED: Outcome.COMPLETED,
    JobStatus.FAILED: Outcome.FAILED,
    JobStatus.CANCELLED: Outcome.CANCELLED,
}


def outcome_of(job: Job, units: tuple[Unit, ...]) -> Outcome:
    """Where the job stands. It is completed when every unit is completed *and* debited, never before."""
    if job.status in _ENDED:
        return _ENDED[job.status]
    if job.units_total and job.units_completed >= job.units_total:
        return Outcome.COMPLETED  # also when a cancel came after the last unit: all is done and paid
    if job.cancel_requested_at is not None:
        return Outcome.CANCELLED
    return Outcome.FAILED if any(unit.status in _BROKEN for unit in units) else Outcome.ADVANCE


def forgotten(job: Job, units: tuple[Unit, ...], *, now: datetime) -> tuple[Unit, ...]:
    """Completed units whose consequences did not follow within minutes: their stream record was given up.

    Not earlier, because a record is usually just on its way and acting twice, though harmless, costs.
    """
    old = tuple(
        unit
        for unit in units
        if unit.status is UnitStatus.COMPLETED and unit.finished_at is not None and now - unit.finished_at > _ON_ITS_WAY
    )
    if job.units_completed < len(old):
        return old
    waiting = frozenset(need for unit in units for need in unit.open_needs)
    return tuple(unit for unit in old if unit.index in waiting)


def wakes(job: Job, *, opened: tuple[Unit, ...], broken: bool) -> bool:
    """Whether the execution has something to do after a unit ended."""
    if not job.is_live or job.task_token is None:
        return False
    return broken or job.units_completed >= job.units_total or any(is_ready(unit) for unit in opened)


def first_failure(units: tuple[Unit, ...]) -> Failure | None:
    """The failure that ended the job: that of the unit which failed first."""
    broken = [unit for unit in units if unit.status in _BROKEN and unit.failure is not None]
    return min(broken, key=lambda unit: (str(unit.finished_at), unit.index)).failure if broken else None


def unspent(job: Job, units: tuple[Unit, ...]) -> int:
    """What is left of the hold once every completed unit is paid."""
    return job.quote.credits - sum(unit.credits for unit in units if unit.status is UnitStatus.COMPLETED)
