"""Each role from placed downloads to a filled outbox, without a sandbox around it."""

import io
import json
import os
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from node_agent.inside.__main__ import work
from node_agent.inside.child import Control, kill_everyone_else
from node_agent.inside.folders import Folders
from node_agent.inside.pack import pack_folder
from node_agent.inside.roles import Stage
from node_agent.inside.sagemaker import arguments, environment
from node_agent.inside.spec import Bounds, Need, Spec

_BOUNDS = Bounds(memory_bytes=1 << 30, disk_bytes=1 << 24, output_bytes=1 << 22, processes=64, cpu_count=2)


def a_spec(role: str = "train", **changes: object) -> Spec:
    values: dict[str, object] = {
        "role": role,
        "entry": "train.py",
        "parameters": {},
        "args": (),
        "objective": None,
        "goal": None,
        "dataset_name": "digits.npz",
        "dataset_content_type": "application/octet-stream",
        "has_dataset": False,
        "needs": (),
        "selection": None,
        "has_gpu": False,
        "python": sys.executable,
        "bounds": _BOUNDS,
    }
    return Spec(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(ml=tmp_path / "ml", inputs=tmp_path / "inputs", outbox=tmp_path / "outbox")
    made.inputs.mkdir()
    _write_zip(made.package, {"train.py": "pass"})
    return made


def run(spec: Spec, folders: Folders) -> dict[str, object]:
    """Performs the role and gives ``result.json``."""
    work(Stage(spec, folders, Control(), lambda: None))
    result: dict[str, object] = json.loads((folders.outbox / "result.json").read_text())
    return result


def _write_zip(path: Path, files: dict[str, str]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)


def _write_need(folders: Folders, unit: str, *, metrics: str = "", **archives: dict[str, str]) -> None:
    folder = folders.inputs / "needs" / unit
    folder.mkdir(parents=True)
    for kind, files in archives.items():
        with tarfile.open(folder / f"{kind}.tar.gz", "w:gz") as archive:
            for name, text in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))
    if metrics:
        (folder / "metrics.jsonl").write_text(metrics)


def _unpacked(archive: Path) -> dict[str, str]:
    with tarfile.open(archive) as tar:
        return {member.name: tar.extractfile(member).read().decode() for member in tar}  # type: ignore[union-attr]


def test_train_runs_the_entry_as_script_mode_does(folders: Folders) -> None:
    folders.dataset.write_bytes(b"numbers")
    _write_zip(
        folders.package,
        {
            "train.py": """
import json, os, sys, helper
json.dump({"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd()}, open(os.environ["SM_MODEL_DIR"] + "/m", "w"))
print(open(os.environ["SM_CHANNEL_TRAINING"] + "/digits.npz").read())
print(json.dumps({"loss": 0.5}))
open(os.environ["SM_OUTPUT_DATA_DIR"] + "/metrics.jsonl", "w").write(json.dumps({"accuracy": 0.9}) + "\\\\n")
open(os.environ["SM_CHECKPOINT_DIR"] + "/c", "w").write("c")
""".replace("\\\\n", "\\n"),
            "helper.py": "",
        },
    )
    spec = a_spec(parameters={"epochs": 3, "learning_rate": 0.1}, args=("--quiet",), has_dataset=True)
    result = run(spec, folders)
    assert result["status"] == "succeeded", result
    assert result["metrics"] == {"loss": 0.5, "accuracy": 0.9}
    assert [artifact["name"] for artifact in result["artifacts"]] == [  # type: ignore[attr-defined]
        "model.tar.gz",
        "checkpoint.tar.gz",
        "output.tar.gz",
        "metrics.jsonl",
    ]
    said = json.loads(_unpacked(folders.outbox / "model.tar.gz")["m"])
    assert said["argv"] == ["--quiet", "--epochs", "3", "--learning_rate", "0.1"]
    assert said["cwd"] == str(folders.code)
    assert said["env"]["SM_HPS"] == '{"epochs": 3, "learning_rate": 0.1}'
    assert said["env"]["SM_HP_LEARNING_RATE"] == "0.1"


def test_the_scripts_environment_names_every_channel(folders: Folders) -> None:
    needs = (Need("train_001", "train", ()), Need("other", "run", ()))
    spec = a_spec("evaluate", has_dataset=True, needs=needs, parameters={"x": True})
    values = environment(spec, folders, gpu_count=1)
    assert json.loads(values["SM_CHANNELS"]) == ["model", "other", "train_001", "training"]
    assert values["SM_CHANNEL_MODEL"] == str(folders.need("train_001") / "model")
    assert values["SM_CHANNEL_TRAIN_001"] == str(folders.need("train_001"))
    assert (values["SM_NUM_GPUS"], values["SM_NUM_CPUS"], values["SM_CURRENT_HOST"]) == ("1", "2", "algo-1")
    assert arguments(spec) == ["--x", "True"]
    assert not set(values) & {"AWS_SECRET_ACCESS_KEY", "VIRTUAL_ENV", "PYTHONPATH"}


@pytest.mark.parametrize(
    ("source", "code", "exit_code"),
    [
        ("raise SystemExit(3)", "SCRIPT_FAILED", 3),
        ("raise MemoryError", "OUT_OF_MEMORY", 1),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "OUT_OF_MEMORY", 137),
        ("pass", "NO_MODEL", 0),
        ("import os; open(os.environ['SM_MODEL_DIR'] + '/m', 'wb').write(os.urandom(1 << 23))", "OUTPUT_TOO_LARGE", None),
    ],
)
def test_how_training_fails(folders: Folders, source: str, code: str, exit_code: int | None) -> None:
    _write_zip(folders.package, {"train.py": source})
    result = run(a_spec(), folders)
    assert (result["status"], result["code"], result["exit_code"]) == ("failed", code, exit_code), result
    assert "artifacts" not in result


def test_a_run_unit_needs_no_model(folders: Folders) -> None:
    assert run(a_spec("run"), folders)["status"] == "succeeded"


@pytest.mark.parametrize("package", [b"no zip", b""])
def test_a_broken_package(folders: Folders, package: bytes) -> None:
    folders.package.write_bytes(package)
    assert run(a_spec(), folders)["code"] == "PACKAGE_INVALID"


@pytest.mark.parametrize("entry", ["missing.py", "lib", None])
def test_an_entry_that_is_not_there(folders: Folders, entry: str | None) -> None:
    _write_zip(folders.package, {"lib/x.py": ""})
    assert run(a_spec(entry=entry), folders)["code"] == "PACKAGE_INVALID"


def test_a_need_may_not_hide_the_dataset(folders: Folders) -> None:
    folders.dataset.write_bytes(b"")
    result = run(a_spec(has_dataset=True, needs=(Need("training", "run", ()),)), folders)
    assert result["code"] == "PACKAGE_INVALID"


def test_prepare_lists_the_dataset(folders: Folders) -> None:
    _write_zip(folders.dataset, {"a.txt": "a", "sub/b.txt": "bb"})
    spec = a_spec("prepare", has_dataset=True, dataset_content_type="application/zip; charset=x")
    result = run(spec, folders)
    assert result["metrics"] == {"dataset_files": 2.0, "dataset_bytes": 3.0}
    listed = json.loads(_unpacked(folders.outbox / "output.tar.gz")["dataset.json"])
    assert [file["path"] for file in listed["files"]] == ["a.txt", "sub/b.txt"]
    assert listed["files"][0]["sha256"] == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"


@pytest.mark.parametrize("content_type", ["application/zip", "application/gzip", "application/x-tar", "application/x-gtar"])
def test_prepare_refuses_a_dataset_that_is_not_what_it_says(folders: Folders, content_type: str) -> None:
    folders.dataset.write_bytes(b"neither of them")
    result = run(a_spec("prepare", has_dataset=True, dataset_content_type=content_type), folders)
    assert result["code"] == "PACKAGE_INVALID"
    assert "dataset" in str(result["message"])


def test_package_makes_one_folder_of_model_and_reports(folders: Folders) -> None:
    _write_need(folders, "train", model={"weights": "w"}, output={"log.csv": "l"}, metrics='{"loss": 0.5}\n{"loss": 0.25}\n')
    _write_need(folders, "evaluate", output={"report.json": "{}"}, metrics='{"accuracy": 0.9}\n')
    names = ("model.tar.gz", "output.tar.gz", "metrics.jsonl")
    needs = (Need("train", "train", names), Need("evaluate", "evaluate", names[1:]))
    result = run(a_spec("package", entry=None, needs=needs), folders)
    assert result["metrics"] == {"loss": 0.25, "accuracy": 0.9}, result
    files = _unpacked(folders.outbox / "model.tar.gz")
    manifest = json.loads(files.pop("MANIFEST.json"))
    assert files == {"weights": "w", "reports/train/log.csv": "l", "reports/evaluate/report.json": "{}"}
    assert {file["path"] for file in manifest["files"]} == set(files)
    assert manifest["metrics"] == {"loss": 0.25, "accuracy": 0.9}


def test_package_without_a_model_fails(folders: Folders) -> None:
    _write_need(folders, "train", output={"x": "x"})
    result = run(a_spec("package", needs=(Need("train", "train", ("output.tar.gz",)),)), folders)
    assert result["code"] == "NO_MODEL"


def test_select_makes_the_chosen_lanes_model_the_jobs(folders: Folders) -> None:
    _write_need(folders, "train_001", model={"m": "b"}, metrics='{"accuracy": 9, "loss": 1}\n')
    _write_need(folders, "evaluate_001", metrics='{"accuracy": 5}\n{"accuracy": 0.9}\n')
    needs = (
        Need("evaluate_001", "evaluate", ("metrics.jsonl",)),
        Need("train_001", "train", ("model.tar.gz", "metrics.jsonl")),
    )
    selection = {"selected": "001", "lanes": [{"lane": "000"}, {"lane": "001"}]}
    result = run(a_spec("select", objective="accuracy", goal="maximize", needs=needs, selection=selection), folders)
    assert result["status"] == "succeeded", result
    assert result["metrics"] == {"accuracy": 0.9, "loss": 1}
    model = _unpacked(folders.outbox / "model.tar.gz")
    assert model["m"] == "b"
    assert [unit["name"] for unit in json.loads(model["MANIFEST.json"])["units"]] == ["train_001", "evaluate_001"]
    assert json.loads(_unpacked(folders.outbox / "output.tar.gz")["selection.json"]) == selection


def test_packing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for copy in ("one", "two"):
        for name in ("b", "a/c") if copy == "one" else ("a/c", "b"):
            (tmp_path / copy / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / copy / name).write_text(name)
        os.utime(tmp_path / copy / "b", (len(copy), 7))
        pack_folder(tmp_path / copy, tmp_path / f"{copy}.tar.gz", max_bytes=1 << 20)
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


def test_an_empty_folder_packs_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty" / "folder").mkdir(parents=True)
    assert pack_folder(tmp_path / "empty", tmp_path / "x", max_bytes=1) == 0
    assert not (tmp_path / "x").exists()


def test_outside_a_sandbox_nobody_is_swept_away() -> None:
    kill_everyone_else()
