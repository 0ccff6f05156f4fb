"""The whole agent with its real sandbox and real environments: a package's script runs, is cancelled, and fails."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from gpupool.wire import units as wire
from gpupool.wire.units import UnitVerdict
from node_agent.environments import EnvironmentStore
from node_agent.sandbox.bubblewrap import BubblewrapSandbox
from tests.agent.fake_control_plane import FakeControlPlane, FakeUnit, unit_id
from tests.agent.harness import AgentInThread, eventually

pytestmark = pytest.mark.sandbox

TRAIN = """
import argparse, json, os, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
epochs = parser.parse_args().epochs
rows = next(pathlib.Path(os.environ["SM_CHANNEL_TRAINING"]).iterdir()).read_text().split(",")
for epoch in range(1, epochs + 1):
    print(json.dumps({"epoch": epoch, "epochs": epochs, "loss": 1 / epoch, "rows": len(rows)}), flush=True)
(pathlib.Path(os.environ["SM_MODEL_DIR"]) / "weights.json").write_text("[1, 2, 3]")
"""
HANGS = 'import time\nprint(\'{"step": 1, "total_steps": 4}\', flush=True)\ntime.sleep(600)\n'
CRASHES = "print('before', flush=True)\nraise SystemExit(7)\n"


def zipped(script: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("train.py", script)
    return target.getvalue()


@pytest.fixture
def real(agent: AgentInThread, tmp_path: Path) -> AgentInThread:
    agent.sandbox = BubblewrapSandbox()  # type: ignore[assignment]
    agent.environments = EnvironmentStore(  # type: ignore[assignment]
        tmp_path / "environments", hidden=(), max_bytes=10**9, max_environment_bytes=10**9
    )
    return agent


def add_training(control_plane: FakeControlPlane, script: str) -> FakeUnit:
    limits = wire.Limits(
        wall_seconds=120, memory_mb=1000, disk_mb=500, processes=50, log_bytes=100_000, output_bytes=10_000_000
    )
    return control_plane.add_unit(package=control_plane.store(zipped(script)), parameters={"epochs": 3}, limits=limits)


def test_a_script_trains(control_plane: FakeControlPlane, real: AgentInThread) -> None:
    unit = add_training(control_plane, TRAIN)
    real.start()
    report = eventually(lambda: unit.completed or unit.failures, within=60)
    assert not unit.failures, unit.failures
    names = {output["name"] for output in report["outputs"]}
    assert {"model.tar.gz", "log.txt"} <= names
    assert report["metrics"] == pytest.approx({"epoch": 3, "epochs": 3, "loss": 1 / 3, "rows": 3})
    lines = control_plane.blobs[f"/uploads/{unit_id(1)}/1/log.txt"].decode().splitlines()
    assert any(json.loads(line)["epoch"] == 2 for line in lines if line.startswith("{"))
    assert report["peak_memory_mb"] > 0


def test_a_script_is_cancelled(control_plane: FakeControlPlane, real: AgentInThread) -> None:
    unit = add_training(control_plane, HANGS)
    real.start()
    eventually(lambda: [progress for progress in unit.progress if progress["fraction"] == 0.25], within=60)
    unit.verdict = UnitVerdict.CANCEL
    eventually(lambda: not list(real.work_root.iterdir()), within=30)
    assert unit.failures == []


def test_a_script_fails(control_plane: FakeControlPlane, real: AgentInThread) -> None:
    unit = add_training(control_plane, CRASHES)
    real.start()
    report = eventually(lambda: unit.failures, within=60)[0]
    assert (report["code"], report["exit_code"]) == ("SCRIPT_FAILED", 7)
    assert "before" in report["log_tail"]
