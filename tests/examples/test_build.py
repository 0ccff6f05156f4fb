"""Every example builds to the same bytes twice, complete, and its manifest, scripts and job agree with each other."""

import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from examples.build import DATASETS, HERE, UnknownExampleError, build, pack
from gpupool.planning.manifest import decode_manifest, parse_manifest

NAMES = sorted(DATASETS)


def manifest_of(name: str) -> dict[str, Any]:
    return tomllib.loads((HERE / name / "package" / "gpu-agent.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_builds_the_same_bytes_twice(name: str, tmp_path: Path) -> None:
    first, second = build(name, tmp_path / "first"), build(name, tmp_path / "second")
    assert first.package_path.read_bytes() == second.package_path.read_bytes()
    assert first.dataset_path.read_bytes() == second.dataset_path.read_bytes()
    assert first.dataset_path.name == first.dataset_name


@pytest.mark.parametrize("name", NAMES)
def test_package_holds_the_manifest_and_what_it_names(name: str, tmp_path: Path) -> None:
    manifest = manifest_of(name)
    named = {"gpu-agent.toml", manifest["package"]["entry"], manifest["package"]["requirements"]}
    named |= {manifest["evaluate"]["entry"]} if "evaluate" in manifest else set()
    with zipfile.ZipFile(build(name, tmp_path).package_path) as archive:
        assert named <= set(archive.namelist())
        assert archive.testzip() is None
        assert not [entry for entry in archive.namelist() if "__pycache__" in entry or entry.startswith((".", "/"))]


def test_packing_leaves_out_caches_and_hidden_files(tmp_path: Path) -> None:
    folder = tmp_path / "package"
    for name in ("train.py", ".secret", "__pycache__/train.pyc", "part/module.py", "part/__pycache__/module.pyc"):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    pack(folder, tmp_path / "package.zip")
    with zipfile.ZipFile(tmp_path / "package.zip") as archive:
        assert archive.namelist() == ["part/module.py", "train.py"]


@pytest.mark.parametrize("name", NAMES)
def test_scripts_take_every_parameter_of_the_manifest(name: str) -> None:
    manifest = manifest_of(name)
    script = (HERE / name / "package" / manifest["package"]["entry"]).read_text(encoding="utf-8")
    swept = manifest.get("sweep", {}).get("grid", {})
    missing = [key for key in {**manifest["parameters"], **swept} if f'"--{key}"' not in script]
    assert missing == []


@pytest.mark.parametrize("name", NAMES)
def test_job_overrides_only_what_the_manifest_declares(name: str, tmp_path: Path) -> None:
    job = build(name, tmp_path).job
    assert set(job.get("parameters", {})) <= set(manifest_of(name)["parameters"])
    assert job["name"] == name
    assert job["required_vram_mb"] == 0
    assert job["sensitivity"] == "public"
    assert job["required_disk_mb"] > 0
    assert job["max_runtime_seconds"] > 0


@pytest.mark.parametrize(
    ("name", "strategy", "lanes"), [("char-lm", "single", 0), ("digits-mlp", "single", 0), ("digits-sweep", "sweep", 6)]
)
def test_platform_reads_the_manifest(name: str, strategy: str, lanes: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(build(name, tmp_path).package_path) as archive:
        manifest = parse_manifest(decode_manifest(archive.read("gpu-agent.toml")), archive.namelist())
    assert manifest.strategy == strategy
    assert len(manifest.parameter_sets) == lanes


def test_datasets_stay_small_enough_to_keep_in_the_repository() -> None:
    assert DATASETS["digits-mlp"].path.stat().st_size < 100_000
    assert DATASETS["digits-sweep"].path == DATASETS["digits-mlp"].path
    assert DATASETS["char-lm"].path.stat().st_size < 200_000


def test_unknown_example_is_refused_with_the_names_that_exist(tmp_path: Path) -> None:
    with pytest.raises(UnknownExampleError, match="char-lm, digits-mlp, digits-sweep"):
        build("no-such", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_command_line_prints_what_it_made(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "examples.build", "digits-mlp", "--out", str(tmp_path)]
    answer = json.loads(subprocess.run(command, cwd=HERE.parent, check=True, capture_output=True, text=True).stdout)
    assert Path(answer["package_path"]).is_file()
    assert Path(answer["dataset_path"]).is_file()
    assert answer["dataset_content_type"] == "application/octet-stream"
    assert answer["job"]["name"] == "digits-mlp"
