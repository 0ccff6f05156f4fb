"""What holds for every manifest."""

import json
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise, product
from math import prod
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gpupool.dynamo import from_item, to_item
from gpupool.errors import ValidationFailed
from gpupool.planning.manifest import manifest_from_dict, manifest_to_dict, parse_manifest
from gpupool.planning.model import Manifest, PlanRequest
from gpupool.planning.parameters import Parameters, written_bytes
from gpupool.planning.plan import check_order, plan
from gpupool.planning.pricing import quote
from gpupool.planning.to_units import units_of
from gpupool.units.edges import first_open_needs, gathers
from tests.unit.planning.builders import DAG, FILES, NOW, SINGLE, SWEEP, a_job

# A busy machine is no finding.
holds = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,8}", fullmatch=True).filter(lambda name: name != "training")
NUMBERS = st.floats(-1e99, 1e99).filter(lambda number: number == 0 or abs(number) > 1e-99)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
SCALARS = st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), NUMBERS, TEXTS)
REQUESTS = st.builds(
    PlanRequest,
    required_vram_mb=st.integers(0, 80_000),
    required_disk_mb=st.integers(64, 10_000_000),
    max_runtime_seconds=st.integers(1, 21_600),
)


def toml(value: object) -> str:
    """A scalar or a list of scalars as TOML; its basic strings are JSON's except for DEL."""
    if isinstance(value, list):
        return "[" + ", ".join(toml(each) for each in value) + "]"
    if isinstance(value, float):
        return repr(value) if "." in repr(value) or "e" in repr(value) else f"{value!r}.0"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def table(values: dict[str, object]) -> str:
    return "{" + ", ".join(f"{name} = {toml(value)}" for name, value in values.items()) + "}"


@st.composite
def edges(draw: st.DrawFn) -> dict[str, list[str]]:
    """Units and their needs, acyclic, written in any order."""
    names = draw(st.lists(NAMES, min_size=1, max_size=12, unique=True))
    needs = {name: draw(st.lists(st.sampled_from(names[:at]), unique=True)) if at else [] for at, name in enumerate(names)}
    return {name: needs[name] for name in draw(st.permutations(names))}


def dag_of(needs: dict[str, list[str]], own: dict[str, Parameters] | None = None) -> Manifest:
    text = DAG
    for name, wanted in needs.items():
        parameters = table({**(own or {}).get(name, {})})
        text += f'[[units]]\nname = "{name}"\nentry = "a.py"\nneeds = {toml(wanted)}\nparameters = {parameters}\n'
    return parse_manifest(text, FILES)


@st.composite
def dags(draw: st.DrawFn) -> Manifest:
    needs = draw(edges())
    return dag_of(needs, {name: draw(st.dictionaries(NAMES, SCALARS, max_size=3)) for name in needs})


GRIDS = st.dictionaries(NAMES, st.lists(SCALARS, min_size=1, max_size=4), min_size=1, max_size=3)


def sweep_of(grid: dict[str, list[object]]) -> Manifest:
    return parse_manifest(SWEEP + f"grid = {table({**grid})}", FILES)


@st.composite
def singles(draw: st.DrawFn) -> Manifest:
    parameters = draw(st.dictionaries(NAMES, SCALARS, max_size=5))
    args = draw(st.lists(TEXTS.filter(bool), max_size=3))
    rows = "".join(f"{name} = {toml(value)}\n" for name, value in parameters.items())
    return parse_manifest(f"{SINGLE}[train]\nargs = {toml(args)}\n[parameters]\n{rows}", FILES)


@st.composite
def sweeps(draw: st.DrawFn) -> Manifest:
    """With a grid or a list, with an evaluation or without."""
    evaluate = draw(st.sampled_from(["", '\n[evaluate]\nentry = "evaluate.py"']))
    grid = draw(GRIDS)
    if draw(st.booleans()):
        return parse_manifest(SWEEP + f"grid = {table({**grid})}{evaluate}", FILES)
    sets = [{name: value} for name, values in grid.items() for value in values if type(value) is type(values[0])]
    return parse_manifest(SWEEP + f"list = [{', '.join(table({**each}) for each in sets)}]{evaluate}", FILES)


MANIFESTS = st.one_of(singles(), dags(), sweeps())


@holds
@given(edges(), REQUESTS)
def test_a_dag_is_planned_in_topological_order_with_exactly_its_edges(
    needs: dict[str, list[str]], request: PlanRequest
) -> None:
    planned = plan(dag_of(needs), request)
    names = [unit.name for unit in planned.units]
    assert sorted(names) == sorted(needs)
    for at, unit in enumerate(planned.units):
        assert unit.index == at
        assert all(need < at for need in unit.needs)
        assert sorted(names[need] for need in unit.needs) == sorted(needs[unit.name])


@holds
@given(edges(), st.data())
def test_any_edge_backwards_is_a_circle(needs: dict[str, list[str]], data: st.DataObject) -> None:
    wanted = [(name, need) for name, of in needs.items() for need in of]
    assume(wanted)
    name, need = data.draw(st.sampled_from(wanted))
    needs[need] = [*needs[need], name]
    with pytest.raises(ValidationFailed) as caught:
        dag_of(needs)
    assert caught.value.code == "PLAN_CYCLIC"
    chain = caught.value.message.split("circle: ")[1].split(". ")[0].split(" -> ")
    assert chain[0] == chain[-1]
    assert all(after in needs[before] for before, after in pairwise(chain))


@holds
@given(MANIFESTS, REQUESTS)
def test_dependents_are_the_inverse_of_needs(manifest: Manifest, request: PlanRequest) -> None:
    planned = plan(manifest, request)
    units = units_of(planned, a_job(), NOW, start=0, stop=len(planned.units))
    assert {(need, unit.index) for unit in units for need in unit.needs} == {
        (unit.index, dependent) for unit in units for dependent in (*unit.dependents, *unit.gathered_by)
    }
    assert all(unit.open_needs == first_open_needs(unit.needs) for unit in units)
    gathering = {unit.index for unit in units if gathers(unit.needs)}
    assert gathering == {index for unit in units for index in unit.gathered_by}


@holds
@given(MANIFESTS, REQUESTS)
def test_a_quote_is_the_sum_of_the_ceilings(manifest: Manifest, request: PlanRequest) -> None:
    planned = plan(manifest, request)
    asked = quote(planned)
    assert asked.credits == sum(unit.credits_max for unit in planned.units) == sum(line.credits for line in asked.lines)
    assert sum(line.units for line in asked.lines) == len(planned.units)
    assert all(unit.credits_max >= 1 for unit in planned.units)


@holds
@given(MANIFESTS, REQUESTS, st.data())
def test_every_strategy_keeps_what_it_promises(manifest: Manifest, request: PlanRequest, data: st.DataObject) -> None:
    units = plan(manifest, request).units
    check_order(units)
    whole = tuple(units)
    assert len(whole) == len(units)
    start, stop = data.draw(st.integers(0, len(whole))), data.draw(st.integers(0, len(whole) + 3))
    assert units[start:stop] == whole[start:stop]
    at = data.draw(st.integers(-len(whole), len(whole) - 1))
    assert units[at] == whole[at]


@holds
@given(st.dictionaries(NAMES, st.lists(st.integers(-9, 9), min_size=1, max_size=4), min_size=1, max_size=4))
def test_a_grids_sets_are_its_product(grid: dict[str, list[object]]) -> None:
    sets = sweep_of(grid).parameter_sets
    assert [list(each) for each in sets] == [list(grid)] * len(sets)
    assert [tuple(each.values()) for each in sets] == list(product(*grid.values()))


@holds
@given(GRIDS)
def test_a_sweep_is_as_large_as_the_product_of_its_grid(grid: dict[str, list[object]]) -> None:
    request = PlanRequest(required_vram_mb=0, required_disk_mb=64, max_runtime_seconds=60)
    size = prod(len(values) for values in grid.values())
    assert len(plan(sweep_of(grid), request).units) == size + 2


@holds
@given(MANIFESTS)
def test_a_manifest_survives_storage_to_the_letter(manifest: Manifest) -> None:
    row = manifest_to_dict(manifest)
    for stored in (row, json.loads(json.dumps(row)), from_item(to_item({"manifest": row}))["manifest"]):
        assert typed(manifest_from_dict(stored)) == typed(manifest)


@holds
@given(MANIFESTS, REQUESTS)
def test_planning_from_storage_makes_the_same_plan_to_the_letter(manifest: Manifest, request: PlanRequest) -> None:
    stored = from_item(to_item({"manifest": manifest_to_dict(manifest)}))["manifest"]
    assert repr(tuple(plan(manifest_from_dict(stored), request).units)) == repr(tuple(plan(manifest, request).units))


@holds
@given(st.one_of(MANIFESTS.map(manifest_to_dict), st.dictionaries(NAMES, SCALARS)))
def test_a_row_takes_no_more_than_is_counted(values: dict[str, Any]) -> None:
    row = {"manifest": values}
    assert weight({"M": to_item(row)}) - weight({"M": {}}) <= written_bytes(row)


def weight(value: dict[str, Any]) -> int:
    """What DynamoDB counts for an attribute's value, at its highest: texts by byte, numbers by pair of digits."""
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "N":
        digits = content.lower().partition("e")[0].lstrip("-").replace(".", "").strip("0")
        return (len(digits) + 1) // 2 + 1 + content.startswith("-")
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + weight(each) for name, each in content.items())
    return 3 + sum(1 + weight(each) for each in content) if kind == "L" else 1


def test_whole_floats_stay_floats() -> None:
    manifest = parse_manifest(SINGLE + "[parameters]\nrate = 1.0\nhuge = 1e22\nzero = 0.0\nsteps = 1\nname = '1.0'\n", FILES)
    stored = from_item(to_item({"manifest": manifest_to_dict(manifest)}))["manifest"]
    assert stored["parameters"]["rate"] == 1
    assert repr(manifest_from_dict(stored).parameters) == "{'rate': 1.0, 'huge': 1e+22, 'zero': 0.0, 'steps': 1, 'name': '1.0'}"


@holds
@given(st.text(max_size=200))
def test_no_text_ends_in_anything_but_a_refusal(text: str) -> None:
    for each in (text, SINGLE + text, SWEEP + text, DAG + text, DAG + "[[units]]\n" + text):
        with suppress(ValidationFailed):
            parse_manifest(each, FILES)


def typed(manifest: Manifest) -> str:
    """A picture of the manifest that tells 1 from 1.0 and does not depend on the order of names."""

    def ordered(parameters: Parameters) -> Parameters:
        return dict(sorted(parameters.items()))

    sets = manifest.parameter_sets
    return repr(
        replace(
            manifest,
            parameters=ordered(manifest.parameters),
            parameter_sets=replace(sets, listed=tuple(ordered(each) for each in sets.listed)),
            units=tuple(replace(unit, parameters=ordered(unit.parameters)) for unit in manifest.units),
        )
    )
