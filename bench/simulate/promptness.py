"""Where nothing goes wrong, all work is done at its first attempt, and nothing waits for the repairs that find forgotten work:
what is ready is queued, and a job that is completed or cancelled ends, within seconds. Without this, a lost wake-up would only
ever look like patience, and a refusal like bad luck."""

from datetime import datetime, timedelta

from bench.simulate.violations import expect
from gpupool.ids import unit_id
from gpupool.jobs.model import Job, JobStatus
from gpupool.units.model import Unit
from gpupool.world import World

# Records, steps and pages take tenths of a second each; what repairs takes a quarter of an hour.
_PROMPT = timedelta(seconds=60)
# Seconds in which one unit follows another that was released.
_REFILLED_WITHIN = 15


def check_promptness(world: World, *, window: int) -> None:
    """``window``: how many units of a job may be released at a time."""
    for job in world.jobs.values():
        units = world.units.get(job.id, {})
        for unit in units.values():
            _check_unit(job, unit, units, window)
        _check_end(job, units)


def _check_end(job: Job, units: dict[str, Unit]) -> None:
    ends = [unit.finished_at for unit in units.values() if unit.finished_at is not None]
    wanted = JobStatus.COMPLETED if job.cancel_requested_at is None else JobStatus.CANCELLED
    expect(job.status in (wanted, JobStatus.COMPLETED), "every job that nobody cancels is completed", (job.id, job.status))
    since = job.cancel_requested_at if job.status is JobStatus.CANCELLED else max(ends)
    if job.finished_at is not None and since is not None:
        expect(job.finished_at - since <= _PROMPT, "a job ends with its last unit", (job.id, since, job.finished_at))


def _check_unit(job: Job, unit: Unit, units: dict[str, Unit], window: int) -> None:
    needs = [units[unit_id(job.id, need)].finished_at for need in unit.needs]
    met: datetime = max([job.created_at, *(each for each in needs if each is not None)])
    expect(unit.attempt <= 1, "one attempt is enough", (unit.id, unit.attempt))
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
