"""``sweep``: prepare → one train → [evaluate] lane per parameter set → select."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from math import prod

from gpupool.errors import ValidationFailed
from gpupool.planning.limits import MAX_PARAMETERS_BYTES, MAX_UNITS, PLATFORM_STEP_SECONDS
from gpupool.planning.model import Column, Goal, Manifest, ParameterSets, PlannedUnit, PlannedUnits, PlanRequest, UnitGroup
from gpupool.planning.parameters import MAX_PARAMETERS, Parameters, read_parameters, written_bytes
from gpupool.planning.strategies.base import StrategyRules, evaluation, platform_step, required_entry, training
from gpupool.planning.strategies.single import read_lane
from gpupool.planning.tables import Table, pointed, refusal, shown, type_name
from gpupool.wire.vocabulary import UnitRole

_PLATFORM_STEPS = 2


@dataclass(frozen=True, slots=True)
class _Sweep:
    """Which unit has which index: prepare is the first, select the last, and between them the lanes, each ``width`` units."""

    manifest: Manifest
    request: PlanRequest

    @property
    def width(self) -> int:
        return _width(self.manifest)

    @property
    def last(self) -> int:
        return 1 + self.width * len(self.manifest.parameter_sets)

    def unit(self, index: int) -> PlannedUnit:
        if index == 0:
            trainings = tuple(range(1, self.last, self.width))
            return platform_step(0, UnitRole.PREPARE, (), self.request, dependents=trainings)
        return self._select() if index == self.last else self._of_lane(index)

    def _of_lane(self, index: int) -> PlannedUnit:
        number, place = divmod(index - 1, self.width)
        first = index - place
        digits = max(3, len(str(len(self.manifest.parameter_sets) - 1)))
        suffix = f"_{number:0{digits}d}"
        train = training(
            self.manifest,
            self.request,
            index=first,
            needs=(0,),
            dependents=(*range(first + 1, first + self.width), self.last),
            own=self.manifest.parameter_sets[number],
            suffix=suffix,
        )
        return train if place == 0 else evaluation(self.manifest, train, dependents=(self.last,), suffix=suffix)

    def _select(self) -> PlannedUnit:
        select = platform_step(self.last, UnitRole.SELECT, tuple(range(1, self.last)), self.request)
        goal = self.manifest.goal.value if self.manifest.goal else None
        return replace(select, objective=self.manifest.objective, goal=goal)


def plan(manifest: Manifest, request: PlanRequest) -> PlannedUnits:
    """Lane n is ``train_00n`` and ``evaluate_00n``; select needs both, a lane's training directly before its evaluation."""
    _check_overrides(manifest, request)
    sweep = _Sweep(manifest, request)
    platform = UnitGroup(_PLATFORM_STEPS, 0, PLATFORM_STEP_SECONDS)
    lanes = UnitGroup(sweep.last - 1, request.required_vram_mb, request.max_runtime_seconds)
    return PlannedUnits((platform, lanes), sweep.unit)


def _width(manifest: Manifest) -> int:
    """The units of a lane."""
    return 1 if manifest.evaluate_entry is None else 2


def read(document: Table, manifest: Manifest, names: Collection[str]) -> Manifest:
    manifest = read_lane(document, replace(manifest, entry=required_entry(document, manifest)), names)
    sweep = document.table("sweep") or Table({}, "/sweep", "[sweep]")
    sweep.only("objective", "goal", "grid", "list")
    return replace(
        manifest,
        objective=sweep.required("objective", sweep.text("objective"), 'objective = "test_accuracy"'),
        goal=sweep.required("goal", sweep.word("goal", Goal), 'goal = "maximize"'),
        parameter_sets=_parameter_sets(sweep, manifest),
    )


def _parameter_sets(sweep: Table, manifest: Manifest) -> ParameterSets:
    most = (MAX_UNITS - _PLATFORM_STEPS) // _width(manifest)
    defaults = manifest.parameters
    grid, sets = sweep.table("grid"), sweep.tables("list")
    if (grid is None) == (sets is None):
        problem = "write either a grid or a list, not both" if grid else "which parameters to try is missing"
        raise refusal(sweep.at("grid"), f"[sweep]: {problem}; for example: grid = {{learning_rate = [0.1, 0.01]}}")
    found = _from_grid(grid, defaults, most) if grid is not None else _from_list(sweep, sets or (), defaults, most)
    key = "grid" if grid is not None else "list"
    if not found or not all(found.listed):
        raise sweep.refuse(key, "must name at least one parameter with at least one value.")
    return found


def _from_grid(grid: Table, defaults: Parameters, most: int) -> ParameterSets:
    """Every combination; the parameter written last changes fastest."""
    if len(grid.values) > MAX_PARAMETERS:
        raise refusal(grid.pointer, f"[sweep]: a grid may hold at most {MAX_PARAMETERS} parameters.")
    columns: list[Column] = []
    for name, values in grid.values.items():
        if not isinstance(values, list):
            raise grid.refuse(name, f"must be a list of the values to try, not {type_name(values)}.")
        cells = [_cell(Table({name: value}, grid.pointer, grid.title), defaults, at) for at, value in enumerate(values)]
        columns.append(Column(name, tuple(cell[name] for cell in cells)))
    _check_count(grid.pointer, prod(len(column.values) for column in columns), most)
    longest = {column.name: max(column.values, key=written_bytes, default="") for column in columns}
    if written_bytes(longest) > MAX_PARAMETERS_BYTES:
        message = f"[sweep]: one set takes more than {MAX_PARAMETERS_BYTES} bytes written out; use fewer or shorter parameters."
        raise refusal(grid.pointer, message)
    return ParameterSets(grid=tuple(columns))


def _cell(cell: Table, defaults: Parameters, at: int) -> Parameters:
    """One value of a grid's list; a refusal points at its place in that list."""
    try:
        return read_parameters(cell, defaults)
    except ValidationFailed as error:
        raise ValidationFailed(error.message, code=error.code, field=pointed(error.details["field"], at)) from error


def _from_list(sweep: Table, sets: tuple[Table, ...], defaults: Parameters, most: int) -> ParameterSets:
    _check_count(sweep.at("list"), len(sets), most)
    return ParameterSets(listed=tuple(read_parameters(each, defaults) for each in sets))


def _check_count(pointer: str, count: int, most: int) -> None:
    if count > most:
        raise refusal(pointer, f"[sweep]: {count} parameter sets are too many; try at most {most}.")


def _check_overrides(manifest: Manifest, request: PlanRequest) -> None:
    """A job cannot fix what the sweep varies: the wish would be dropped in silence."""
    varied = manifest.parameter_sets.names
    for name in request.parameters:
        if name in varied:
            message = f"The sweep varies {shown(name)}; leave it out, or change [sweep] in the package."
            raise ValidationFailed(message, field=pointed("/parameters", name))


RULES = StrategyRules(sections=frozenset({"train", "evaluate", "sweep"}), read=read, plan=plan)
