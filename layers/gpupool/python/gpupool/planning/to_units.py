"""A plan as the rows of ``units``."""

from collections.abc import Callable
from datetime import datetime
from functools import cache

from gpupool.errors import ValidationFailed
from gpupool.ids import unit_id
from gpupool.jobs.model import Job, Sensitivity
from gpupool.planning.model import Plan, PlannedUnit
from gpupool.planning.pricing import capability_for
from gpupool.units.edges import first_open_needs, gathers
from gpupool.units.model import Pool, Unit, UnitStatus, Work

_POOLS = {Sensitivity.PUBLIC: Pool.PUBLIC, Sensitivity.LOW_SENSITIVE: Pool.CONTROLLED}


def units_of(plan: Plan, job: Job, now: datetime, *, start: int, stop: int) -> tuple[Unit, ...]:
    """The job's units from index ``start`` to before ``stop``, all waiting; ids follow from job and index, so that planning
    twice names the same rows."""
    pool = pool_for(job.sensitivity)

    @cache
    def gathers_at(index: int) -> bool:
        return gathers(plan.units[index].needs)

    return tuple(_unit(unit, job, now, pool=pool, gathers_at=gathers_at) for unit in plan.units[start:stop])


def pool_for(sensitivity: Sensitivity) -> Pool:
    """Which machines may see the data."""
    if sensitivity not in _POOLS:
        message = "Private jobs need machines of your own, which cannot be paired yet; use low_sensitive."
        raise ValidationFailed(message, field="/sensitivity")
    return _POOLS[sensitivity]


def _unit(unit: PlannedUnit, job: Job, now: datetime, *, pool: Pool, gathers_at: Callable[[int], bool]) -> Unit:
    return Unit(
        id=unit_id(job.id, unit.index),
        job_id=job.id,
        customer_id=job.customer_id,
        index=unit.index,
        name=unit.name,
        status=UnitStatus.WAITING,
        pool=pool,
        capability=capability_for(unit.required_vram_mb),
        work=_work(unit),
        needs=unit.needs,
        dependents=tuple(index for index in unit.dependents if not gathers_at(index)),
        gathered_by=tuple(index for index in unit.dependents if gathers_at(index)),
        open_needs=first_open_needs(unit.needs),
        credits_max=unit.credits_max,
        created_at=now,
    )


def _work(unit: PlannedUnit) -> Work:
    return Work(
        role=unit.role,
        kind=unit.kind,
        entry=unit.entry,
        parameters=unit.parameters,
        args=unit.args,
        requirements=unit.requirements,
        objective=unit.objective,
        goal=unit.goal,
        required_vram_mb=unit.required_vram_mb,
        required_disk_mb=unit.required_disk_mb,
        max_runtime_seconds=unit.max_runtime_seconds,
    )
