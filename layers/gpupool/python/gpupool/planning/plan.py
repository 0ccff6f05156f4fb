"""From a manifest and a job's wishes to a priced DAG in topological order. The same input always makes the same plan."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from gpupool.errors import ValidationFailed
from gpupool.planning.limits import MAX_DISK_MB, MAX_RUNTIME_SECONDS, MAX_UNITS, MAX_VRAM_MB, MIN_DISK_MB
from gpupool.planning.model import Manifest, Plan, PlannedUnit, PlannedUnits, PlanRequest
from gpupool.planning.parameters import override
from gpupool.planning.pricing import capability_for, credits_max
from gpupool.planning.stored import manifest_from_dict
from gpupool.planning.strategies import STRATEGIES
from gpupool.units.model import ParameterValue

__all__ = ["plan", "plan_stored"]


class Wishes(Protocol):
    """Whoever asks: a submit, or the job that came of it."""

    @property
    def required_vram_mb(self) -> int: ...
    @property
    def required_disk_mb(self) -> int: ...
    @property
    def max_runtime_seconds(self) -> int: ...
    @property
    def parameters(self) -> dict[str, ParameterValue]: ...


def plan_stored(manifest: Mapping[str, Any], wishes: Wishes) -> Plan:
    """The plan of a manifest as a package's row keeps it. Submit prices it and the execution carries it out: what was quoted
    is what is run only because both come from here."""
    request = PlanRequest(
        required_vram_mb=wishes.required_vram_mb,
        required_disk_mb=wishes.required_disk_mb,
        max_runtime_seconds=wishes.max_runtime_seconds,
        parameters=dict(wishes.parameters),
    )
    return plan(manifest_from_dict(manifest), request)


def plan(manifest: Manifest, request: PlanRequest) -> Plan:
    """What to run and the most it can cost.

    Raises ``ValidationFailed`` for what the job asks and cannot have: UNKNOWN_PARAMETER, a parameter of another type, or more
    VRAM, disk, time or units than there may be.
    """
    _check_request(request)
    settled = replace(manifest, parameters=override(manifest.parameters, request.parameters))
    units = STRATEGIES[manifest.strategy].plan(settled, request)
    if len(units) > MAX_UNITS:
        message = f"The job would have {len(units)} units; at most {MAX_UNITS} are possible. Split it into several jobs."
        raise ValidationFailed(message, field="/training_package_id")
    return Plan(manifest.strategy, PlannedUnits(units.groups, lambda index: _priced(units[index])))


def _check_request(request: PlanRequest) -> None:
    bounds = {
        "required_vram_mb": (request.required_vram_mb, 0, MAX_VRAM_MB),
        "required_disk_mb": (request.required_disk_mb, MIN_DISK_MB, MAX_DISK_MB),
        "max_runtime_seconds": (request.max_runtime_seconds, 1, MAX_RUNTIME_SECONDS),
    }
    for name, (value, low, high) in bounds.items():
        if not low <= value <= high:
            raise ValidationFailed(f"{name} must be between {low} and {high}, not {value}.", field=f"/{name}")


def check_order(units: Sequence[PlannedUnit]) -> None:
    """What strategies promise: indexes count from 0, every need comes first, dependents are the inverse of needs and names are
    unique. ValueError is a bug in a strategy. Tests call this; over a large plan it would cost more than the planning.
    """
    dependents: list[list[int]] = [[] for _ in units]
    for at, unit in enumerate(units):
        if unit.index != at or any(not 0 <= need < at for need in unit.needs):
            raise ValueError(f"unit {unit.name!r} is planned as {at} but has index {unit.index} and needs {unit.needs}")
        for need in unit.needs:
            dependents[need].append(at)
    wrong = [unit.name for unit, expected in zip(units, dependents, strict=True) if unit.dependents != tuple(expected)]
    if wrong:
        raise ValueError(f"the units {wrong} are planned with other dependents than those that need them")
    if len({unit.name for unit in units}) != len(units):
        raise ValueError("two planned units share a name")


def _priced(unit: PlannedUnit) -> PlannedUnit:
    return replace(unit, credits_max=credits_max(capability_for(unit.required_vram_mb), unit.max_runtime_seconds))
