"""From manifest and request to units: the shape of each strategy, and what a job may ask."""

import json
from dataclasses import replace
from typing import Any

import pytest

from gpupool.errors import ValidationFailed
from gpupool.planning.manifest import manifest_to_dict
from gpupool.planning.model import ManifestUnit, Plan, PlannedUnits, Strategy
from gpupool.planning.plan import check_order, plan
from gpupool.planning.pricing import quote
from gpupool.wire.vocabulary import UnitKind, UnitRole
from tests.unit.planning.builders import DAG, SINGLE, SWEEP, a_request, parsed

EVALUATE = '[evaluate]\nentry = "evaluate.py"\n'
DEFAULTS = '[parameters]\nepochs = 30\nrate = 0.5\nname = "x"\nfast = true\n'


def shape(planned: Plan) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(unit.name, unit.role.value, unit.needs) for unit in planned.units]


def test_single_without_a_manifest() -> None:
    planned = plan(parsed(None), a_request())
    assert shape(planned) == [("prepare", "prepare", ()), ("train", "train", (0,)), ("package", "package", (1,))]
    assert [unit.entry for unit in planned.units] == [None, "train.py", None]


def test_single_with_an_evaluation() -> None:
    planned = plan(parsed(SINGLE + EVALUATE + "[train]\nargs = ['--quiet']"), a_request())
    assert shape(planned)[1:] == [("train", "train", (0,)), ("evaluate", "evaluate", (1,)), ("package", "package", (1, 2))]
    train, evaluate = planned.units[1:3]
    assert (train.entry, train.args, evaluate.entry, evaluate.args) == ("train.py", ("--quiet",), "evaluate.py", ())
    assert train.requirements == evaluate.requirements == "requirements.txt"


def test_training_gets_what_the_job_asks_and_the_platforms_steps_stay_small() -> None:
    prepare, train, evaluate, package = plan(parsed(SINGLE + EVALUATE), a_request(required_vram_mb=12_000)).units
    for unit in (train, evaluate):
        asked = (unit.kind, unit.required_vram_mb, unit.required_disk_mb, unit.max_runtime_seconds)
        assert asked == (UnitKind.GPU, 12_000, 1_024, 600)
    for unit in (prepare, package):
        asked = (unit.kind, unit.required_vram_mb, unit.required_disk_mb, unit.max_runtime_seconds)
        assert asked == (UnitKind.CPU, 0, 1_024, 300)


def test_each_unit_is_priced_by_its_class_and_time() -> None:
    planned = plan(parsed(None), a_request(required_vram_mb=12_000, max_runtime_seconds=601))
    assert [unit.credits_max for unit in planned.units] == [5, 6 * 11, 5]


def test_training_without_vram_stays_a_gpu_unit_at_the_cpu_price() -> None:
    train = plan(parsed(None), a_request(required_vram_mb=0)).units[1]
    assert (train.kind, train.credits_max) == (UnitKind.GPU, 10)


def test_sweep_lanes_meet_in_select() -> None:
    planned = plan(parsed(SWEEP + "grid = {a = [1, 2]}\n" + EVALUATE), a_request())
    assert shape(planned) == [
        ("prepare", "prepare", ()),
        ("train_000", "train", (0,)),
        ("evaluate_000", "evaluate", (1,)),
        ("train_001", "train", (0,)),
        ("evaluate_001", "evaluate", (3,)),
        ("select", "select", (1, 2, 3, 4)),
    ]
    select = planned.units[-1]
    assert (select.objective, select.goal, select.kind) == ("accuracy", "maximize", UnitKind.CPU)
    assert planned.units[1].objective is None


def test_sweep_without_an_evaluation() -> None:
    planned = plan(parsed(SWEEP + "list = [{a = 1}, {a = 2}, {a = 3}]"), a_request())
    assert shape(planned)[-1] == ("select", "select", (1, 2, 3))


def test_sweep_sets_win_over_the_jobs_parameters_and_those_over_defaults() -> None:
    planned = plan(parsed(SWEEP + "grid = {rate = [1, 0.1]}\n" + DEFAULTS), a_request(parameters={"epochs": 5}))
    assert [unit.parameters["rate"] for unit in planned.units[1:3]] == [1.0, 0.1]
    assert [unit.parameters["epochs"] for unit in planned.units[1:3]] == [5, 5]


def test_a_job_cannot_fix_what_the_sweep_varies() -> None:
    with pytest.raises(ValidationFailed, match="The sweep varies 'rate'") as caught:
        plan(parsed(SWEEP + "grid = {rate = [1, 0.1]}\n" + DEFAULTS), a_request(parameters={"rate": 0.3}))
    assert caught.value.details["field"] == "/parameters/rate"


def test_dag_units_run_in_order_with_their_own_wishes() -> None:
    text = (
        DEFAULTS
        + DAG
        + """
    [[units]]
    name = "last"
    entry = "c.py"
    needs = ["right", "left"]
    kind = "cpu"
    [[units]]
    name = "left"
    entry = "a.py"
    required_vram_mb = 24000
    required_disk_mb = 70
    max_runtime_seconds = 60
    parameters = {epochs = 1}
    [[units]]
    name = "right"
    entry = "b.py"
    """
    )
    planned = plan(parsed(text), a_request(parameters={"epochs": 9}))
    assert shape(planned) == [("left", "run", ()), ("right", "run", ()), ("last", "run", (0, 1))]
    left, right, last = planned.units
    assert (left.required_vram_mb, left.required_disk_mb, left.max_runtime_seconds, left.credits_max) == (24_000, 70, 60, 10)
    assert (right.required_vram_mb, right.required_disk_mb, right.max_runtime_seconds) == (8_000, 1_024, 600)
    assert (last.kind, last.required_vram_mb) == (UnitKind.CPU, 0)
    assert [unit.parameters["epochs"] for unit in planned.units] == [1, 9, 9]
    assert {unit.role for unit in planned.units} == {UnitRole.RUN}


def test_a_whole_number_may_stand_for_a_float() -> None:
    train = plan(parsed(SINGLE + DEFAULTS), a_request(parameters={"rate": 1})).units[1]
    assert (type(train.parameters["rate"]), train.parameters["rate"]) == (float, 1.0)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("epochs", 1.0, "must be a whole number, as its default in [parameters], not a number"),
        ("epochs", "1", "must be a whole number"),
        ("epochs", True, "must be a whole number"),
        ("rate", "0.1", "must be a number"),
        ("rate", False, "must be a number"),
        ("rate", float("nan"), "must be a finite number"),
        ("rate", float("inf"), "must be a finite number"),
        ("name", 1, "must be text"),
        ("name", "a\0b", "NUL"),
        ("name", "\ud800", "valid Unicode"),
        ("name", "x" * 1_001, "at most 1000 bytes"),
        ("fast", 1, "must be true/false"),
        ("epochs", None, "must be text, a number or true/false"),
        ("epochs", [1], "not a list"),
        ("epochs", 2**63, "64 bits"),
    ],
)
def test_a_parameter_of_another_type(name: str, value: Any, sentence: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        plan(parsed(SINGLE + DEFAULTS), a_request(parameters={name: value}))
    assert (caught.value.code, caught.value.details["field"]) == ("VALIDATION_FAILED", f"/parameters/{name}")
    assert sentence in caught.value.message


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (SINGLE + DEFAULTS, "Did you mean 'epochs'?"),
        (SINGLE + "[parameters]\nseed = 1", "Known are: 'seed'."),
        (None, "There is none."),
    ],
)
def test_an_unknown_parameter(text: str | None, sentence: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        plan(parsed(text), a_request(parameters={"epoch": 3}))
    assert (caught.value.status, caught.value.code) == (400, "UNKNOWN_PARAMETER")
    assert caught.value.details["field"] == "/parameters/epoch"
    assert sentence in caught.value.message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("required_vram_mb", 80_001),
        ("required_vram_mb", -1),
        ("required_disk_mb", 63),
        ("required_disk_mb", 10_000_001),
        ("max_runtime_seconds", 0),
        ("max_runtime_seconds", 21_601),
    ],
)
def test_more_than_there_may_be(field: str, value: int) -> None:
    with pytest.raises(ValidationFailed, match=field) as caught:
        plan(parsed(None), a_request(**{field: value}))
    assert caught.value.details["field"] == f"/{field}"


def test_the_largest_class_may_be_asked_for() -> None:
    assert plan(parsed(None), a_request(required_vram_mb=80_000)).units[1].credits_max == 400


def test_too_many_units() -> None:
    units = tuple(ManifestUnit(name=f"u{n}", entry="a.py", kind=UnitKind.CPU) for n in range(100_001))
    manifest = parsed(DAG + '[[units]]\nname = "a"\nentry = "a.py"')
    assert len(plan(replace(manifest, units=units[1:]), a_request()).units) == 100_000
    with pytest.raises(ValidationFailed, match="at most 100000"):
        plan(replace(manifest, units=units), a_request())


def test_a_strategy_that_breaks_its_promise_is_found_out() -> None:
    first, second, third = plan(parsed(None), a_request()).units
    check_order((first, second, third))
    for broken in (
        (second, first, third),
        (replace(first, needs=(1,)), second, third),
        (first, replace(second, name=first.name), third),
        (first, replace(second, dependents=()), third),
        (first, second, replace(third, dependents=(1,))),
    ):
        with pytest.raises(ValueError, match="planned"):
            check_order(broken)


HUGE = SWEEP + f"grid = {{a = {list(range(100))}, b = {list(range(499))}}}\n" + EVALUATE


def test_a_sweep_of_nearly_a_hundred_thousand_units() -> None:
    planned = plan(parsed(HUGE), a_request(max_runtime_seconds=60))
    assert len(planned.units) == 99_802
    train, evaluate = planned.units[-3:-1]
    assert (train.index, train.name, train.needs, train.dependents) == (99_799, "train_49899", (0,), (99_800, 99_801))
    assert (evaluate.name, evaluate.needs, evaluate.dependents) == ("evaluate_49899", (99_799,), (99_801,))
    assert train.parameters == evaluate.parameters == {"a": 99, "b": 498}
    assert planned.units[0].dependents == tuple(range(1, 99_801, 2))
    assert planned.units[-1].needs == tuple(range(1, 99_801))
    whole = tuple(planned.units)
    check_order(whole)
    assert quote(planned).credits == sum(unit.credits_max for unit in whole)


def test_only_the_units_that_are_asked_for_are_made() -> None:
    made: list[int] = []
    units = plan(parsed(HUGE), a_request()).units
    counted = PlannedUnits(units.groups, lambda index: made.append(index) or units[index])
    assert (len(counted), quote(Plan(Strategy.SWEEP, counted)).credits > 0, made) == (99_802, True, [])
    assert [unit.index for unit in counted[70_000:70_003]] == made == [70_000, 70_001, 70_002]


@pytest.mark.parametrize(
    ("lanes", "first", "last"),
    [(1_000, "train_000", "train_999"), (1_001, "train_0000", "train_1000"), (10_001, "train_00000", "train_10000")],
)
def test_lanes_are_numbered_with_as_many_digits_as_the_last_needs(lanes: int, first: str, last: str) -> None:
    units = plan(parsed(SWEEP + f"grid = {{a = {list(range(lanes))}}}"), a_request()).units
    assert (units[1].name, units[-2].name) == (first, last)


def test_a_grids_row_stays_as_small_as_its_manifest() -> None:
    assert len(json.dumps(manifest_to_dict(parsed(HUGE)))) < len(HUGE) + 500


def test_the_parameters_of_a_job_are_bounded_together() -> None:
    names = [f"t{n}" for n in range(20)]
    manifest = parsed(SINGLE + "[parameters]\n" + "".join(f"{name} = ''\n" for name in names))
    with pytest.raises(ValidationFailed, match="16384 bytes") as caught:
        plan(manifest, a_request(parameters=dict.fromkeys(names, "x" * 1_000)))
    assert caught.value.details["field"] == "/parameters"
