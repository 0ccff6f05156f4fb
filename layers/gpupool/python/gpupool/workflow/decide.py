"""What a job needs next: pure decisions over its rows."""

from gpupool.jobs.model import Job, JobStatus
from gpupool.units.decide import is_ready
from gpupool.units.model import Failure, Unit, UnitStatus
from gpupool.workflow.model import Outcome

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
    if job.cancel_requested_at is not None:
        return Outcome.CANCELLED
    if any(unit.status in _BROKEN for unit in units):
        return Outcome.FAILED
    return Outcome.COMPLETED if job.units_total and job.units_completed >= job.units_total else Outcome.ADVANCE


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
