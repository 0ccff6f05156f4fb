"""What a job needs next: pure decisions over its rows."""

from dataclasses import replace
from datetime import datetime, timedelta

from gpupool.jobs.model import Job, JobStatus, ReleaseWindow
from gpupool.units.model import Failure, Unit, UnitStatus
from gpupool.wire.failures import FailureCode, blame_of
from gpupool.workflow.model import Outcome
from gpupool.workflow.rounds import Round

# Dependents that the outbox opens while it handles one record. A batch of 25 records then makes at most 625 small writes,
# seconds below the function's timeout; what has more is opened page by page.
FAN_OUT = 25
# Units of a job that may be released and not completed. More would stand in the queue before everybody else's, and a machine
# finds enough among these.
RELEASED = 300
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
    return Outcome.TEND if _is_due_for_a_round(job) else Outcome.ADVANCE


def _is_due_for_a_round(job: Job) -> bool:
    """Whether units wait that a round can release: those of a fan-out, or those that were held back."""
    window = job.window
    if window is None or window.high is None:
        return bool(job.fan_outs)
    return bool(job.fan_outs - window.met) or job.units_completed >= window.refill_at


def wakes(job: Job) -> bool:
    """Whether the job's execution waits and has something to do."""
    return job.is_live and job.task_token is not None and outcome_of(job) is not Outcome.ADVANCE


def fans_out(unit: Unit) -> bool:
    """Whether a unit has more dependents than the outbox opens by itself."""
    return len(unit.dependents) > FAN_OUT


def is_overdue(unit: Unit, *, now: datetime) -> bool:
    """Whether a completed unit's debit should be there. Not earlier than minutes after its end, because the stream's record
    is usually just on its way."""
    ended = unit.finished_at
    return unit.status is UnitStatus.COMPLETED and ended is not None and now - ended > _ON_ITS_WAY


def is_under_way(unit: Unit) -> bool:
    """Whether the unit is with a machine or waits for one."""
    return unit.status in _UNDER_WAY


def tended(seen: Round, unit: Unit, *, overdue: bool, wrote: bool) -> Round:
    """The round once the unit is as it should be: what is completed without a gap, how far units open others by themselves,
    and what is under way."""
    opens = 0 if fans_out(unit) else max(unit.dependents, default=0)
    return replace(
        seen,
        low=seen.low + (unit.index == seen.low and unit.status is UnitStatus.COMPLETED),
        reach=max(seen.reach, opens),
        overdue=seen.overdue + overdue,
        under_way=seen.under_way + is_under_way(unit),
        running=seen.running + (unit.status is UnitStatus.RUNNING),
        writes=seen.writes + wrote,
    )


def has_room(seen: Round, *, released: int) -> bool:
    """Whether another unit may be released: ``released`` at a time, or half as many again as machines work on the job."""
    return seen.under_way < _most_under_way(seen, released)


def _most_under_way(seen: Round, released: int) -> int:
    return max(released, seen.running + seen.running // 2)


def overdue_before(window: ReleaseWindow | None, *, now: datetime) -> int:
    """How many units before the window's should be paid, as far as is known."""
    return window.low if window is not None and now - window.noted_at > _ON_ITS_WAY else 0


def window_after(done: Round, *, released: int, now: datetime) -> ReleaseWindow:
    """How far the round released the job's units. The next ones follow when a quarter of these are done, long before the
    machines run out of work; and never later than when all are, so that something wakes the execution."""
    most = _most_under_way(done, released)
    kept = most - most // 4
    refill_at = done.counted + max(1, done.under_way - kept)
    return ReleaseWindow(done.low, done.reach, refill_at, now, done.high, done.fan_outs)


def is_held_back(unit: Unit, job: Job) -> bool:
    """Whether a waiting unit is not released although it could be, because enough others of its job are."""
    window = job.window
    return window is not None and window.high is not None and unit.index >= window.high


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
