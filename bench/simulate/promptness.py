"""Where nothing goes wrong, nothing waits for the repairs that find forgotten work: what is ready is queued, and a job whose
last unit is completed ends, within seconds. Without this, a lost wake-up would only ever look like patience."""

from datetime import datetime, timedelta

from bench.simulate.violations import expect
from gpupool.ids import unit_id
from gpupool.jobs.model import Job, JobStatus
from gpupool.units.model import Unit
from gpupool.world import World

# Records, steps and pages take tenths of a second each; what repairs takes a quarter of an hour.
_PROMPT = timedelta(seconds=60)


def check_promptness(world: World) -> None:
    for job in world.jobs.values():
        units = world.units.get(job.id, {})
        for unit in units.values():
            _check_unit(job, unit, units)
        ends = [unit.finished_at for unit in units.values() if unit.finished_at is not None]
        if job.status is JobStatus.COMPLETED and job.finished_at is not None:
            expect(
                job.finished_at - max(ends) <= _PROMPT, "a job ends with its last unit", (job.id, max(ends), job.finished_at)
            )


def _check_unit(job: Job, unit: Unit, units: dict[str, Unit]) -> None:
    needs = [units[unit_id(job.id, need)].finished_at for need in unit.needs]
    met: datetime = max([job.created_at, *(each for each in needs if each is not None)])
    if unit.queued_at is not None and unit.attempt == 1:
        expect(unit.queued_at - met <= _PROMPT, "a unit is queued once its needs are met", (unit.id, met, unit.queued_at))
