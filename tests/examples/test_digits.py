"""The digit examples learn what they say they learn, as separate processes in the platform's folders."""

import json
import math
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.examples.script_mode import Sandbox

QUICK = {"epochs": 12, "hidden": 16, "copies": 1, "checkpoint_every": 2}
DIES_IN_SIXTH_EPOCH = """
import os, train
epoch = train.epoch
train.epoch = lambda run, *rest: os._exit(9) if run.epochs_done == 5 else epoch(run, *rest)
train.main()
"""


def arrays(file: Path) -> dict[str, np.ndarray]:
    with np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def test_mlp_trains_and_reads_unseen_digits(tmp_path: Path) -> None:
    sandbox = Sandbox("digits-mlp", tmp_path)
    lines = sandbox.train(epochs=12)
    assert [line["epoch"] for line in lines] == list(range(1, 13))
    assert {line["epochs"] for line in lines} == {12}
    assert all(math.isfinite(value) for line in lines for value in line.values())
    assert lines[-1]["train_loss"] < lines[0]["train_loss"] / 5
    assert (sandbox.model / "model.npz").is_file()
    assert (sandbox.checkpoints / "checkpoint.npz").is_file()
    (result,) = sandbox.evaluate(epochs=12)
    assert result["test_accuracy"] > 0.95
    assert json.loads((sandbox.output / "evaluation.json").read_text())["test_accuracy"] == result["test_accuracy"]


def test_same_seed_gives_the_same_model_and_another_seed_another(tmp_path: Path) -> None:
    models = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        sandbox = Sandbox("digits-mlp", tmp_path / name)
        sandbox.train(**QUICK | {"epochs": 3, "seed": seed})
        models.append(arrays(sandbox.model / "model.npz"))
    assert all(np.array_equal(models[0][name], models[1][name]) for name in models[0])
    assert not np.array_equal(models[0]["parameter_00"], models[2]["parameter_00"])


def test_killed_training_resumes_to_the_same_weights(tmp_path: Path) -> None:
    whole, killed = Sandbox("digits-mlp", tmp_path / "whole"), Sandbox("digits-mlp", tmp_path / "killed")
    whole.train(**QUICK)
    python, _entry, *arguments = killed.command("train.py", QUICK)
    command = [python, "-c", DIES_IN_SIXTH_EPOCH, *arguments]
    done = subprocess.run(command, cwd=killed.code, env=killed.environment(), capture_output=True, timeout=60)
    assert done.returncode == 9
    assert not killed.model.exists()
    assert killed.train(**QUICK)[0]["epoch"] == 5
    expected, found = arrays(whole.model / "model.npz"), arrays(killed.model / "model.npz")
    assert all(np.array_equal(expected[name], found[name]) for name in expected)


def test_checkpoint_of_other_options_is_not_continued(tmp_path: Path) -> None:
    sandbox = Sandbox("digits-mlp", tmp_path)
    sandbox.train(**QUICK | {"epochs": 2})
    assert sandbox.train(**QUICK | {"epochs": 2, "hidden": 8})[0]["epoch"] == 1


@pytest.mark.parametrize("example", ["digits-mlp", "digits-sweep"])
def test_missing_dataset_ends_with_a_sentence(example: str, tmp_path: Path) -> None:
    sandbox = Sandbox(example, tmp_path)
    environment = sandbox.environment() | {"SM_CHANNEL_TRAINING": str(tmp_path / "empty")}
    command = sandbox.command("train.py", {"epochs": 1})
    done = subprocess.run(command, cwd=sandbox.code, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("expected exactly one .npz file")


def test_sweep_lanes_differ_and_the_good_one_reads_digits(tmp_path: Path) -> None:
    accuracies = {}
    for learning_rate in (0.0001, 0.05, 3.0):
        sandbox = Sandbox("digits-sweep", tmp_path / str(learning_rate))
        lane = {"learning_rate": learning_rate, "hidden": 32, "epochs": 60}
        trained = sandbox.train(**lane)[-1]
        (result,) = sandbox.evaluate(**lane)
        assert result["validation_accuracy"] == trained["validation_accuracy"]
        accuracies[learning_rate] = result
    assert accuracies[0.05]["test_accuracy"] > 0.95
    for poor in (0.0001, 3.0):
        assert accuracies[poor]["validation_accuracy"] < accuracies[0.05]["validation_accuracy"] - 0.1


def test_training_validation_and_test_images_do_not_overlap(tmp_path: Path) -> None:
    """Both examples cut the same 1797 images alike, each image into exactly one part."""
    report = (
        "from pathlib import Path; import os, digits; s = digits.load(Path(os.environ['SM_CHANNEL_TRAINING']))\n"
        "print(*(p.pixels.tobytes().hex() for p in (s.train, s.validation, s.test)))"
    )
    swept = "import train; print(*(train.load(p)[0].tobytes().hex() for p in ('train', 'validation', 'test')))"
    parts = []
    for example, script in (("digits-mlp", report), ("digits-sweep", swept)):
        sandbox = Sandbox(example, tmp_path / example)
        command = [*sandbox.command("-c", {})[:2], script]
        done = subprocess.run(command, cwd=sandbox.code, env=sandbox.environment(), capture_output=True, check=True, text=True)
        parts.append([np.frombuffer(bytes.fromhex(word), np.float32).reshape(-1, 64) for word in done.stdout.split()])
    mlp, sweep = parts
    assert [len(part) for part in mlp] == [1150, 287, 360]
    assert all(np.array_equal(one, other) for one, other in zip(mlp, sweep, strict=True))
    assert len(np.unique(np.concatenate(mlp), axis=0)) == 1797
