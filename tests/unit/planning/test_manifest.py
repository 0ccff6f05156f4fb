"""What a package may say, and what stands for it when it says nothing."""

import pytest

from gpupool.planning.manifest import decode_manifest, parse_manifest
from gpupool.planning.model import Goal, Manifest, ManifestUnit, Strategy
from gpupool.wire.vocabulary import UnitKind
from tests.unit.planning.builders import DAG, SINGLE, SWEEP, parsed


@pytest.mark.parametrize(
    ("names", "entry"),
    [
        ({"train.py", "main.py", "other.py"}, "train.py"),
        ({"main.py", "other.py"}, "main.py"),
        ({"go.py", "lib/helper.py", "readme.txt"}, "go.py"),
    ],
)
def test_without_a_manifest_the_entry_is_found(names: set[str], entry: str) -> None:
    assert parse_manifest(None, names) == Manifest(Strategy.SINGLE, entry)


def test_requirements_are_used_when_the_file_is_there() -> None:
    assert parse_manifest(None, {"train.py", "requirements.txt"}).requirements == "requirements.txt"
    assert parse_manifest(SINGLE, {"train.py", "requirements.txt"}).requirements == "requirements.txt"
    assert parse_manifest(SINGLE, {"train.py"}).requirements is None


def test_a_single_training_with_everything_it_may_say() -> None:
    text = """
    [package]
    entry = "train.py"
    requirements = "notes.md"
    [parameters]
    epochs = 30
    learning_rate = 0.1
    optimizer = "adam"
    shuffle = true
    [train]
    args = ["--quiet"]
    [evaluate]
    entry = "evaluate.py"
    [strategy]
    kind = "single"
    """
    assert parsed(text) == Manifest(
        Strategy.SINGLE,
        entry="train.py",
        requirements="notes.md",
        parameters={"epochs": 30, "learning_rate": 0.1, "optimizer": "adam", "shuffle": True},
        train_args=("--quiet",),
        evaluate_entry="evaluate.py",
    )


def test_a_grid_is_every_combination_with_the_last_parameter_fastest() -> None:
    manifest = parsed(SWEEP + "grid = {depth = [1, 2], width = [8, 16]}")
    assert tuple(manifest.parameter_sets) == (
        {"depth": 1, "width": 8},
        {"depth": 1, "width": 16},
        {"depth": 2, "width": 8},
        {"depth": 2, "width": 16},
    )
    assert (manifest.objective, manifest.goal) == ("accuracy", Goal.MAXIMIZE)


def test_a_sweep_may_list_its_sets() -> None:
    sets = parsed(SWEEP + 'list = [{a = 1}, {a = 2, b = "x"}]').parameter_sets
    assert tuple(sets) == ({"a": 1}, {"a": 2, "b": "x"})
    assert sets.names == {"a", "b"}


def test_there_is_no_set_beside_those_of_the_sweep() -> None:
    for text in ("list = [{a = 1}, {a = 2}]", "grid = {a = [1, 2]}"):
        sets = parsed(SWEEP + text).parameter_sets
        for number in (-1, 2):
            with pytest.raises(IndexError):
                sets[number]


def test_a_dag_unit_leaves_open_what_it_does_not_say() -> None:
    text = DAG + '[[units]]\nname = "one"\nentry = "a.py"\n'
    assert parsed(text).units == (ManifestUnit(name="one", entry="a.py", kind=UnitKind.GPU),)


def test_a_dag_unit_with_everything_it_may_say() -> None:
    text = (
        DAG
        + """
    [[units]]
    name = "one"
    entry = "a.py"
    [[units]]
    name = "two"
    entry = "lib/tool.py"
    needs = ["one"]
    kind = "gpu"
    parameters = {depth = 3}
    required_vram_mb = 16000
    required_disk_mb = 100
    max_runtime_seconds = 60
    """
    )
    assert parsed(text).units[1] == ManifestUnit(
        name="two",
        entry="lib/tool.py",
        kind=UnitKind.GPU,
        needs=("one",),
        parameters={"depth": 3},
        required_vram_mb=16_000,
        required_disk_mb=100,
        max_runtime_seconds=60,
    )


def test_units_of_a_dag_share_the_packages_entry() -> None:
    assert parsed(SINGLE + DAG + '[[units]]\nname = "one"\n').units[0].entry == "train.py"


def test_a_parameter_that_is_a_float_anywhere_is_one_everywhere() -> None:
    manifest = parsed(SWEEP + "grid = {rate = [1, 0.5]}\n[parameters]\nrate = 2\nepochs = 2\n")
    values = [manifest.parameters["rate"], *(each["rate"] for each in manifest.parameter_sets)]
    assert [(type(value), value) for value in values] == [(float, 2.0), (float, 1.0), (float, 0.5)]
    assert type(manifest.parameters["epochs"]) is int


def test_there_is_one_zero() -> None:
    assert str(parsed(SINGLE + "[parameters]\nbias = -0.0").parameters["bias"]) == "0.0"


def test_text_is_utf8() -> None:
    assert decode_manifest(b"# \xc3\xa4") == "# \u00e4"
