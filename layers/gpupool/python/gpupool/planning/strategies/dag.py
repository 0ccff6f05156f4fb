"""``dag``: the units and needs that the manifest writes out. Units that nothing needs are the job's results."""

from collections.abc import Collection
from dataclasses import replace

from gpupool.planning.graph import cycle_in, in_order
from gpupool.planning.limits import MAX_DISK_MB, MAX_NEEDS, MAX_RUNTIME_SECONDS, MAX_UNITS, MAX_VRAM_MB, MIN_DISK_MB
from gpupool.planning.model import Manifest, ManifestUnit, PlannedUnit, PlannedUnits, PlanRequest
from gpupool.planning.parameters import NAME, NAME_RULE, merged, read_parameters
from gpupool.planning.strategies.base import StrategyRules, written_out
from gpupool.planning.tables import Table, advice, pointed, refusal, shown
from gpupool.wire.vocabulary import UnitKind, UnitRole

# A need's outputs lie beside the data set, in a folder named after the unit.
_RESERVED = "training"
_UNIT_KEYS = ("name", "entry", "needs", "kind", "parameters", "required_vram_mb", "required_disk_mb", "max_runtime_seconds")


def plan(manifest: Manifest, request: PlanRequest) -> PlannedUnits:
    """In topological order; units that may come in any order keep the order in which they are written."""
    written = {unit.name: unit for unit in manifest.units}
    order = in_order({unit.name: unit.needs for unit in manifest.units})
    index = {name: at for at, name in enumerate(order)}
    return written_out([_planned(written[name], index, manifest, request) for name in order])


def _planned(unit: ManifestUnit, index: dict[str, int], manifest: Manifest, request: PlanRequest) -> PlannedUnit:
    """What a unit leaves open is as the job asks; a CPU unit never takes the job's VRAM."""
    open_vram = 0 if unit.kind is UnitKind.CPU else request.required_vram_mb
    return PlannedUnit(
        index=index[unit.name],
        name=unit.name,
        role=UnitRole.RUN,
        kind=unit.kind,
        needs=tuple(sorted(index[need] for need in unit.needs)),
        dependents=(),
        entry=unit.entry,
        parameters=merged(manifest.parameters, unit.parameters),
        args=(),
        requirements=manifest.requirements,
        objective=None,
        goal=None,
        required_vram_mb=_either(unit.required_vram_mb, open_vram),
        required_disk_mb=_either(unit.required_disk_mb, request.required_disk_mb),
        max_runtime_seconds=_either(unit.max_runtime_seconds, request.max_runtime_seconds),
        credits_max=0,
    )


def _either(own: int | None, asked: int) -> int:
    return asked if own is None else own


def read(document: Table, manifest: Manifest, names: Collection[str]) -> Manifest:
    tables = document.tables("units")
    if not tables:
        raise refusal("/units", 'a dag needs units; write for example: [[units]] name = "a" entry = "a.py"')
    if len(tables) > MAX_UNITS:
        raise refusal("/units", f"{len(tables)} units are too many; write at most {MAX_UNITS}.")
    units = tuple(_unit(table, manifest, names) for table in tables)
    _check_names(units)
    _check_needs(units)
    _check_cycles(units)
    return replace(manifest, units=units)


def _unit(table: Table, manifest: Manifest, names: Collection[str]) -> ManifestUnit:
    table.only(*_UNIT_KEYS)
    name = table.required("name", table.text("name"), 'name = "a"')
    if not NAME.fullmatch(name):
        raise table.refuse("name", f"{NAME_RULE}.")
    if name == _RESERVED:
        raise table.refuse("name", f"cannot be {shown(_RESERVED)}: that is the data set's folder.")
    entry = table.required("entry", table.script("entry", names) or manifest.entry, 'entry = "a.py"')
    kind = table.word("kind", UnitKind) or UnitKind.GPU
    vram = table.whole("required_vram_mb", 0, MAX_VRAM_MB)
    if kind is UnitKind.CPU and vram:
        raise table.refuse("required_vram_mb", 'must be 0 for a CPU unit; leave it out, or write kind = "gpu".')
    return ManifestUnit(
        name=name,
        entry=entry,
        kind=kind,
        needs=table.texts("needs", most=MAX_NEEDS),
        parameters=read_parameters(table.table("parameters"), manifest.parameters),
        required_vram_mb=vram,
        required_disk_mb=table.whole("required_disk_mb", MIN_DISK_MB, MAX_DISK_MB),
        max_runtime_seconds=table.whole("max_runtime_seconds", 1, MAX_RUNTIME_SECONDS),
    )


def _check_names(units: tuple[ManifestUnit, ...]) -> None:
    first: dict[str, int] = {}
    for at, unit in enumerate(units):
        if unit.name in first:
            where = f"/units/{at}/name"
            raise refusal(where, f"[[units]] {at} and {first[unit.name]} are both named {shown(unit.name)}; rename one.")
        first[unit.name] = at


def _check_needs(units: tuple[ManifestUnit, ...]) -> None:
    known = {unit.name for unit in units}
    for at, unit in enumerate(units):
        before: set[str] = set()
        for number, need in enumerate(unit.needs):
            problem = _need_problem(unit, need, before, known)
            before.add(need)
            if problem:
                raise refusal(pointed(f"/units/{at}/needs", number), f"the unit {shown(unit.name)} {problem}")


def _need_problem(unit: ManifestUnit, need: str, before: Collection[str], known: Collection[str]) -> str | None:
    if need == unit.name:
        return "needs itself; remove that need."
    if need not in known:
        return f"needs {shown(need)}, which is no unit. {advice(need, set(known) - {unit.name})}"
    return f"needs {shown(need)} twice; remove one." if need in before else None


def _check_cycles(units: tuple[ManifestUnit, ...]) -> None:
    cycle = cycle_in({unit.name: unit.needs for unit in units})
    if cycle is None:
        return
    at = next(at for at, unit in enumerate(units) if unit.name == cycle[0])
    chain = " -> ".join(cycle if len(cycle) <= 20 else [*cycle[:18], "...", cycle[-1]])
    message = f"units need each other in a circle: {chain}. Remove one of these needs."
    raise refusal(f"/units/{at}/needs", message, code="PLAN_CYCLIC")


RULES = StrategyRules(sections=frozenset({"units"}), read=read, plan=plan)
