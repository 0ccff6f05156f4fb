"""``sweep``: prepare → one train → [evaluate] lane per parameter set → select."""

from collections.abc import Collection
from dataclasses import replace
from itertools import product
from math import prod

from gpupool.errors import ValidationFailed
from gpupool.planning.limits import MAX_NEEDS
from gpupool.planning.model import Goal, Manifest, PlannedUnit, PlanRequest
from gpupool.planning.parameters import MAX_PARAMETERS, Parameters, read_parameters
from gpupool.planning.strategies.base import StrategyRules, lane, platform_step, required_entry
from gpupool.planning.strategies.single import read_lane
from gpupool.planning.tables import Table, pointed, refusal, shown, type_name
from gpupool.wire.vocabulary import UnitRole


def plan(manifest: Manifest, request: PlanRequest) -> tuple[PlannedUnit, ...]:
    """Lane n is ``train_00n`` and ``evaluate_00n``; select needs both, a lane's training directly before its evaluation."""
    _check_overrides(manifest, request)
    units = [platform_step(0, UnitRole.PREPARE, (), request)]
    for number, own in enumerate(manifest.parameter_sets):
        units += lane(manifest, request, index=len(units), needs=(0,), own=own, suffix=f"_{number:03d}")
    select = platform_step(len(units), UnitRole.SELECT, tuple(unit.index for unit in units[1:]), request)
    goal = manifest.goal.value if manifest.goal else None
    return (*units, replace(select, objective=manifest.objective, goal=goal))


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


def _parameter_sets(sweep: Table, manifest: Manifest) -> tuple[Parameters, ...]:
    # select needs every unit of every lane
    most = MAX_NEEDS // (2 if manifest.evaluate_entry else 1)
    defaults = manifest.parameters
    grid, sets = sweep.table("grid"), sweep.tables("list")
    if (grid is None) == (sets is None):
        problem = "write either a grid or a list, not both" if grid else "which parameters to try is missing"
        raise refusal(sweep.at("grid"), f"[sweep]: {problem}; for example: grid = {{learning_rate = [0.1, 0.01]}}")
    found = _from_grid(grid, defaults, most) if grid is not None else _from_list(sweep, sets or (), defaults, most)
    key = "grid" if grid is not None else "list"
    if not found or not all(found):
        raise sweep.refuse(key, "must name at least one parameter with at least one value.")
    return found


def _from_grid(grid: Table, defaults: Parameters, most: int) -> tuple[Parameters, ...]:
    """Every combination; the parameter written last changes fastest."""
    if len(grid.values) > MAX_PARAMETERS:
        raise refusal(grid.pointer, f"[sweep]: a grid may hold at most {MAX_PARAMETERS} parameters.")
    columns: list[list[Parameters]] = []
    for name, values in grid.values.items():
        if not isinstance(values, list):
            raise grid.refuse(name, f"must be a list of the values to try, not {type_name(values)}.")
        columns.append([_cell(Table({name: value}, grid.pointer, grid.title), defaults, at) for at, value in enumerate(values)])
    _check_count(grid.pointer, prod(len(column) for column in columns), most)
    return tuple({name: value for cell in cells for name, value in cell.items()} for cells in product(*columns))


def _cell(cell: Table, defaults: Parameters, at: int) -> Parameters:
    """One value of a grid's list; a refusal points at its place in that list."""
    try:
        return read_parameters(cell, defaults)
    except ValidationFailed as error:
        raise ValidationFailed(error.message, code=error.code, field=pointed(error.details["field"], at)) from error


def _from_list(sweep: Table, sets: tuple[Table, ...], defaults: Parameters, most: int) -> tuple[Parameters, ...]:
    _check_count(sweep.at("list"), len(sets), most)
    return tuple(read_parameters(each, defaults) for each in sets)


def _check_count(pointer: str, count: int, most: int) -> None:
    if count > most:
        raise refusal(pointer, f"[sweep]: {count} parameter sets are too many; try at most {most}.")


def _check_overrides(manifest: Manifest, request: PlanRequest) -> None:
    """A job cannot fix what the sweep varies: the wish would be dropped in silence."""
    varied = {name for each in manifest.parameter_sets for name in each}
    for name in request.parameters:
        if name in varied:
            message = f"The sweep varies {shown(name)}; leave it out, or change [sweep] in the package."
            raise ValidationFailed(message, field=pointed("/parameters", name))


RULES = StrategyRules(sections=frozenset({"train", "evaluate", "sweep"}), read=read, plan=plan)
