"""What a job needs next: pure decisions over its rows."""

from datetime import datetime, timedelta

from gpupool.jobs.model import Job, JobStatus
from gpupool.units.model import Failure, Unit, UnitStatus
from gpupool.wire.failures import FailureCode, blame_of
from gpupool.workflow.model import Outcome
from gpupool.workflow.rounds import Round

# Dependents that the outbox opens while it handles one record. A batch of 25 records then makes at most 625 small writes,
# seconds below the function's timeout; what has more is opened page by page.
FAN_OUT = 25
_ON_ITS_WAY = timedelta(minutes=5)
BROKEN = frozenset({UnitStatus.FAILED, UnitStatus.REJECTED})
_UNDER_WAY = frozenset({UnitStatus.QUEUED, UnitStatus.RUNNING, UnitStatus.VALIDATING})
_ENDED: dict[JobStatus, Outcome] = {
    JobStatus.COMPLETED: Outcome.COMPLETED,
    JobStatus.FAILED: Outcome.FAILED,
    JobStatus.CANCELLED: Outcome.CANCELLED,
}


def outcome_of(job: Job) -> Outcome:
    """Where the job stands. It is completed when every unit is completed *and* debited, never before."""
    if job.status in _ENDED:
        return _ENDED[job.status]
    if job.units_total and job.units_completed >= job.units_total:
        return Outcome.COMPLETED  # also when a cancel came after the last unit: all is done and paid
    if job.cancel_requested_at is not None:
        return Outcome.CANCELLED
    if job.broken is not None or job.closing:
        return Outcome.FAILED
    return Outcome.TEND if job.fan_outs else Outcome.ADVANCE


def wakes(job: Job) -> bool:
    """Whether the job's execution waits and has something to do."""
    return job.is_live and job.task_token is not None and outcome_of(job) is not Outcome.ADVANCE


def fans_out(unit: Unit) -> bool:
    """Whether a unit has more dependents than the outbox opens by itself."""
    return len(unit.dependents) > FAN_OUT


def may_end_job(unit: Unit) -> bool:
    """Whether the job can be over once this unit is completed: one that others need is never the last."""
    return not unit.dependents and not unit.gathered_by


def is_overdue(unit: Unit, *, now: datetime) -> bool:
    """Whether a completed unit's debit should be there. Not earlier than minutes after its end, because the stream's record
    is usually just on its way."""
    ended = unit.finished_at
    return unit.status is UnitStatus.COMPLETED and ended is not None and now - ended > _ON_ITS_WAY


def is_under_way(unit: Unit) -> bool:
    """Whether the unit is with a machine or waits for one."""
    return unit.status in _UNDER_WAY


def lacks_consequences(job: Job, done: Round) -> bool:
    """Whether a completed unit's record must have been given up, seen from a whole round over a live job's units: debits
    are missing, or nothing is under way although the job is not over."""
    if outcome_of(job) is not Outcome.ADVANCE:
        return False
    return job.units_completed < done.overdue or done.under_way == 0


def platform_failure(job: Job) -> Failure:
    """What a customer is told when no unit failed. The step's error stays in the execution's history and the logs."""
    code = FailureCode.INTERNAL if job.status is JobStatus.RUNNING else FailureCode.PLANNING_FAILED
    message = "The platform could not finish the job; nothing unfinished was charged."
    return Failure(code=code, blame=blame_of(code), message=message)
