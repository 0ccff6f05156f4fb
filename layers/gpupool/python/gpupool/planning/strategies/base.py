"""What a strategy is, and the units that several of them share.

A strategy is one file: what it reads from the manifest, and the units that it makes of it. Its units have ``credits_max`` 0:
the price is the planner's, not the strategy's. ``plan.check_order`` says what else it promises.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from gpupool.planning.limits import PLATFORM_STEP_SECONDS
from gpupool.planning.model import Manifest, PlannedUnit, PlannedUnits, PlanRequest, UnitGroup
from gpupool.planning.parameters import Parameters, merged
from gpupool.planning.tables import Table
from gpupool.wire.vocabulary import UnitKind, UnitRole


@dataclass(frozen=True, slots=True)
class StrategyRules:
    """How one strategy reads and plans.

    ``sections`` are the tables that it takes besides [package], [parameters] and [strategy]. ``read`` adds what they say to the
    manifest read so far. ``plan`` gets that manifest with the job's parameters already in place.
    """

    sections: frozenset[str]
    read: Callable[[Table, Manifest, Collection[str]], Manifest]
    plan: Callable[[Manifest, PlanRequest], PlannedUnits]


def required_entry(document: Table, manifest: Manifest) -> str:
    """The package's entry, for strategies that cannot do without."""
    package = document.table("package") or Table({}, "/package", "[package]")
    return package.required("entry", manifest.entry, 'entry = "train.py"')


def written_out(units: Sequence[PlannedUnit]) -> PlannedUnits:
    """Units that are all there already, for plans as large as their manifest; their dependents follow from their needs."""
    dependents: list[list[int]] = [[] for _ in units]
    for unit in units:
        for need in unit.needs:
            dependents[need].append(unit.index)
    complete = [replace(unit, dependents=tuple(each)) for unit, each in zip(units, dependents, strict=True)]
    asked = Counter((unit.required_vram_mb, unit.max_runtime_seconds) for unit in units)
    return PlannedUnits(tuple(UnitGroup(count, *each) for each, count in asked.items()), complete.__getitem__)


def platform_step(
    index: int, role: UnitRole, needs: tuple[int, ...], request: PlanRequest, *, dependents: tuple[int, ...] = ()
) -> PlannedUnit:
    """A step of the platform's own: always on CPU, short, and named after its role."""
    return PlannedUnit(
        index=index,
        name=role.value,
        role=role,
        kind=UnitKind.CPU,
        needs=needs,
        dependents=dependents,
        entry=None,
        parameters={},
        args=(),
        requirements=None,
        objective=None,
        goal=None,
        required_vram_mb=0,
        required_disk_mb=request.required_disk_mb,
        max_runtime_seconds=PLATFORM_STEP_SECONDS,
        credits_max=0,
    )


def training(
    manifest: Manifest,
    request: PlanRequest,
    *,
    index: int,
    needs: tuple[int, ...],
    dependents: tuple[int, ...] = (),
    own: Parameters | None = None,
    suffix: str = "",
) -> PlannedUnit:
    """A run of the package's entry; ``own`` parameters win."""
    return PlannedUnit(
        index=index,
        name=f"train{suffix}",
        role=UnitRole.TRAIN,
        kind=UnitKind.GPU,
        needs=needs,
        dependents=dependents,
        entry=manifest.entry,
        parameters=merged(manifest.parameters, own or {}),
        args=manifest.train_args,
        requirements=manifest.requirements,
        objective=None,
        goal=None,
        required_vram_mb=request.required_vram_mb,
        required_disk_mb=request.required_disk_mb,
        max_runtime_seconds=request.max_runtime_seconds,
        credits_max=0,
    )


def evaluation(manifest: Manifest, train: PlannedUnit, *, dependents: tuple[int, ...] = (), suffix: str = "") -> PlannedUnit:
    """The run of the package's evaluation that directly follows ``train``, with the same parameters and wishes."""
    return PlannedUnit(
        index=train.index + 1,
        name=f"evaluate{suffix}",
        role=UnitRole.EVALUATE,
        kind=train.kind,
        needs=(train.index,),
        dependents=dependents,
        entry=manifest.evaluate_entry,
        parameters=train.parameters,
        args=(),
        requirements=train.requirements,
        objective=None,
        goal=None,
        required_vram_mb=train.required_vram_mb,
        required_disk_mb=train.required_disk_mb,
        max_runtime_seconds=train.max_runtime_seconds,
        credits_max=0,
    )
