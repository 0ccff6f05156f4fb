"""Where nothing goes wrong but the work itself, no attempt is in vain but those that fail, and nothing waits for the repairs
that find forgotten work: what is ready is queued, and a job that is completed, cancelled or broken ends, within seconds.
Without this, a lost wake-up would only ever look like patience, and a refusal like bad luck."""

from collections import Counter
from datetime import datetime, timedelta

from bench.simulate.violations import expect
from gpupool.ids import unit_id
from gpupool.jobs.model import Job, JobStatus
from gpupool.units.model import Unit, UnitStatus
from gpupool.world import World

# Records, steps and pages take tenths of a second each; what repairs takes a quarter of an hour.
_PROMPT = timedelta(seconds=60)
_BROKEN = (UnitStatus.FAILED, UnitStatus.REJECTED)
# Seconds in which one unit follows another that was released.
_REFILLED_WITHIN = 15


def check_promptness(world: World, *, failed: Counter[str], window: int) -> None:
    """``failed``: how often attempts on a unit did. ``window``: how many units of a job may be released at a time."""
    for job in world.jobs.values():
        units = world.units.get(job.id, {})
        # When a unit was queued first is not known of one that was queued again.
        first_queued = not any(failed[each] for each in units)
        for unit in units.values():
            expect(unit.attempt <= 1 + failed[unit.id], "who does not fail needs one attempt", (unit.id, unit.attempt))
            if first_queued:
                _check_unit(job, unit, units, window)
        _check_end(job, units)


def _check_end(job: Job, units: dict[str, Unit]) -> None:
    ended = [(unit.finished_at, unit.status in _BROKEN) for unit in units.values() if unit.finished_at is not None]
    broken = [at for at, is_broken in ended if is_broken]
    asked = job.cancel_requested_at
    if job.status is JobStatus.CANCELLED:
        since = asked
    else:
        wanted = JobStatus.FAILED if broken else JobStatus.COMPLETED
        expect(job.status is wanted, "a job ends as its units do, or as its customer wants", (job.id, job.status, wanted))
        since = min(broken) if broken else max(at for at, _ in ended)
    if job.finished_at is not None and since is not None:
        expect(job.finished_at - since <= _PROMPT, "a job ends with its last unit", (job.id, since, job.finished_at))


def _check_unit(job: Job, unit: Unit, units: dict[str, Unit], window: int) -> None:
    needs = [units[unit_id(job.id, need)].finished_at for need in unit.needs]
    met: datetime = max([job.created_at, *(each for each in needs if each is not None)])
    if unit.queued_at is None or unit.attempt != 1 or unit.queued_at - met <= _PROMPT:
        return
    moments = [unit.queued_at - _PROMPT + timedelta(seconds=passed) for passed in range(_REFILLED_WITHIN)]
    others = max(_under_way(units, at=moment) for moment in moments)
    what = "a unit is queued once its needs are met, unless enough others are"
    expect(others >= window - window // 4, what, (unit.id, met, unit.queued_at))


def _under_way(units: dict[str, Unit], *, at: datetime) -> int:
    return sum(
        unit.queued_at is not None and unit.queued_at <= at and (unit.finished_at is None or unit.finished_at > at)
        for unit in units.values()
    )
