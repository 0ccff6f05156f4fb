"""What a strategy is, and the units that several of them share.

A strategy is one file: what it reads from the manifest, and the units that it makes of it. Its units have ``credits_max`` 0:
the price is the planner's, not the strategy's.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from gpupool.planning.limits import PLATFORM_STEP_SECONDS
from gpupool.planning.model import Manifest, PlannedUnit, PlanRequest
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
    plan: Callable[[Manifest, PlanRequest], tuple[PlannedUnit, ...]]


def required_entry(document: Table, manifest: Manifest) -> str:
    """The package's entry, for strategies that cannot do without."""
    package = document.table("package") or Table({}, "/package", "[package]")
    return package.required("entry", manifest.entry, 'entry = "train.py"')


def platform_step(index: int, role: UnitRole, needs: tuple[int, ...], request: PlanRequest) -> PlannedUnit:
    """A step of the platform's own: always on CPU, short, and named after its role."""
    return PlannedUnit(
        index=index,
        name=role.value,
        role=role,
        kind=UnitKind.CPU,
        needs=needs,
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


def lane(
    manifest: Manifest,
    request: PlanRequest,
    *,
    index: int,
    needs: tuple[int, ...],
    own: Parameters | None = None,
    suffix: str = "",
) -> tuple[PlannedUnit, ...]:
    """One training and, when the package evaluates, its evaluation; the first has ``index`` and they follow each other."""
    train = PlannedUnit(
        index=index,
        name=f"train{suffix}",
        role=UnitRole.TRAIN,
        kind=UnitKind.GPU,
        needs=needs,
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
    if manifest.evaluate_entry is None:
        return (train,)
    return (train, _evaluation(train, manifest.evaluate_entry, suffix))


def _evaluation(train: PlannedUnit, entry: str, suffix: str) -> PlannedUnit:
    return PlannedUnit(
        index=train.index + 1,
        name=f"evaluate{suffix}",
        role=UnitRole.EVALUATE,
        kind=train.kind,
        needs=(train.index,),
        entry=entry,
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
