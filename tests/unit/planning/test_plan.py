"""From manifest and request to units: the shape of each strategy, and what a job may ask."""

from dataclasses import replace
from typing import Any

import pytest

from gpupool.errors import ValidationFailed
from gpupool.planning.model import ManifestUnit, Plan
from gpupool.planning.plan import check_order, plan
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
    units = tuple(ManifestUnit(name=f"u{n}", entry="a.py", kind=UnitKind.CPU) for n in range(10_001))
    manifest = parsed(DAG + '[[units]]\nname = "a"\nentry = "a.py"')
    assert len(plan(replace(manifest, units=units[1:]), a_request()).units) == 10_000
    with pytest.raises(ValidationFailed, match="at most 10000"):
        plan(replace(manifest, units=units), a_request())


def test_a_strategy_that_breaks_its_promise_is_found_out() -> None:
    first, second, third = plan(parsed(None), a_request()).units
    check_order((first, second, third))
    for broken in ((second, first, third), (replace(first, needs=(1,)), second), (first, replace(second, name=first.name))):
        with pytest.raises(ValueError, match="planned"):
            check_order(broken)
