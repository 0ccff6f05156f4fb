"""What a job needs next: pure decisions over its rows."""

from collections.abc import Mapping
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
_ON_ITS_WAY = timedelta(minutes=5)
# How often a round goes over all units of a wide job, and not only over those that are under way.
_WHOLE_AGAIN = timedelta(hours=1)
# Units that are not completed and yet counted as behind a round's beginning. Each is read alone.
_MOST_STRAGGLERS = 50
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
    if window is None or not window.held:
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


def writes_to_conclude(unit: Unit) -> int:
    """What doing again all that follows from a completed unit may write, its debit and its dependents, or the note that a round
    opens them."""
    return 1 + len(unit.gathered_by) + (1 if fans_out(unit) else len(unit.dependents))


def needs_a_whole_round(job: Job, window: ReleaseWindow, *, now: datetime) -> bool:
    """Whether more is to be seen to than the next windowful: the dependents of another fan-out, or what was forgotten."""
    return bool(job.fan_outs - window.met) or now - window.whole_at > _WHOLE_AGAIN


def held_back(seen: Round, unit: Unit) -> Round:
    """The round once a ready unit was not released."""
    if unit.index < seen.low:
        return replace(seen, stragglers=seen.stragglers | {unit.index}, held=seen.held | {unit.capability})
    if seen.high is not None and unit.capability in seen.held:
        return seen
    high = unit.index if seen.high is None else seen.high
    return replace(seen, high=high, held=seen.held | {unit.capability})


def tended(seen: Round, unit: Unit, *, overdue: bool, released: bool, writes: int) -> Round:
    """The round once the unit is as it should be: what is completed without a gap, but for some, how far completed units open
    others by themselves, and what is under way."""
    if unit.status is UnitStatus.COMPLETED:
        return replace(
            seen,
            low=seen.low + (unit.index == seen.low),
            reach=max(seen.reach, 0 if fans_out(unit) else max(unit.dependents, default=0)),
            overdue=seen.overdue + overdue,
            writes=seen.writes + writes,
        )
    passed = unit.index == seen.low and len(seen.stragglers) < _MOST_STRAGGLERS
    late = passed or unit.index < seen.low
    return replace(
        seen,
        low=seen.low + passed,
        stragglers=seen.stragglers | {unit.index} if late else seen.stragglers,
        under_way=_one_more(seen.under_way, unit) if is_under_way(unit) else seen.under_way,
        running=_one_more(seen.running, unit) if unit.status is UnitStatus.RUNNING else seen.running,
        released=seen.released + released,
        writes=seen.writes + writes,
    )


def _one_more(counts: Mapping[str, int], unit: Unit) -> Mapping[str, int]:
    return {**counts, str(unit.capability): counts.get(unit.capability, 0) + 1}


def has_room(seen: Round, capability: str, *, released: int) -> bool:
    """Whether another unit of the class may be released: ``released`` at a time, or half as many again as machines work on such
    units of the job."""
    return seen.under_way.get(capability, 0) < _most_under_way(seen, capability, released)


def _most_under_way(seen: Round, capability: str, released: int) -> int:
    running = seen.running.get(capability, 0)
    return max(released, running + running // 2)


def window_after(done: Round, before: ReleaseWindow | None, *, released: int, now: datetime) -> ReleaseWindow:
    """How far the round released the job's units. The next ones follow when a quarter of a class that holds some back is done,
    long before its machines run out of work; and never later than when all are, so that something wakes the execution."""
    return ReleaseWindow(
        low=done.low,
        reach=done.reach,
        refill_at=done.counted + min((_to_be_done(done, each, released) for each in done.held), default=0),
        whole_at=now if before is None or (done.whole and done.wanted is None) else before.whole_at,
        high=done.high,
        held=done.held,
        stragglers=done.stragglers,
        met=done.fan_outs,
    )


def _to_be_done(done: Round, capability: str, released: int) -> int:
    most = _most_under_way(done, capability, released)
    return max(1, done.under_way.get(capability, 0) - (most - most // 4))


def is_to_be_watched(done: Round) -> bool:
    """Whether more machines may be free than the round could know of: it released a large part of what is under way, and holds
    others back. When those are running soon, the next round releases half as many again."""
    return bool(done.held) and 10 * done.released >= 3 * sum(done.under_way.values())


def is_held_back(unit: Unit, job: Job) -> bool:
    """Whether a waiting unit is not released although it could be, because enough others of its job are."""
    window = job.window
    return window is not None and window.high is not None and unit.index >= window.high


def lacks_consequences(job: Job, done: Round) -> bool:
    """Whether a completed unit's record must have been given up, seen from a whole round over a live job's units: debits
    are missing, or nothing is under way although the job is not over."""
    if outcome_of(job) is not Outcome.ADVANCE:
        return False
    return job.units_completed < done.overdue or not done.under_way


def platform_failure(job: Job) -> Failure:
    """What a customer is told when no unit failed. The step's error stays in the execution's history and the logs."""
    code = FailureCode.INTERNAL if job.status is JobStatus.RUNNING else FailureCode.PLANNING_FAILED
    message = "The platform could not finish the job; nothing unfinished was charged."
    return Failure(code=code, blame=blame_of(code), message=message)
