"""A unit never outlives its agent, and starting one costs little."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gpupool.wire.failures import FailureCode
from gpupool.wire.vocabulary import UnitRole
from node_agent.sandbox import OutcomeStatus, UnitFiles, UnitSpec
from node_agent.sandbox.bubblewrap import BubblewrapSandbox
from tests.sandbox.lab import ROOMY, Lab, package_of, poll, processes_with

pytestmark = pytest.mark.sandbox

_STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
print("up", flush=True)
while True: time.sleep(1)
"""

_AGENT = """
import sys, threading
from pathlib import Path
from tests.sandbox.lab import Lab
lab = Lab(Path(sys.argv[1]), Path(sys.argv[2]))
flight = lab.start(sys.argv[4], args=(sys.argv[3],))
flight.wait_for(b"up\\n")
print("running", flush=True)
threading.Event().wait()
"""


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM])
def test_when_the_agent_is_killed_its_unit_dies(tmp_path: Path, environment: Path, blow: signal.Signals) -> None:
    marker = f"marker-{secrets.token_hex(8)}"
    agent = subprocess.Popen(
        [sys.executable, "-c", _AGENT, str(tmp_path), str(environment), marker, _STUBBORN],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert agent.stdout is not None
    with agent, agent.stdout:
        assert agent.stdout.readline() == b"running\n"
        inside = [pid for pid in processes_with(marker) if pid != agent.pid]
        assert len(inside) >= 2
        agent.send_signal(blow)
        agent.wait(10)
    poll(lambda: processes_with(marker) == [], seconds=5, what="the death of the unit")


def test_a_sandbox_that_cannot_be_built_is_an_outcome(tmp_path: Path, environment: Path) -> None:
    (tmp_path / "root").mkdir()
    files = UnitFiles(root=tmp_path / "root", package=tmp_path / "no such package", environment=environment)
    unit = BubblewrapSandbox().start(UnitSpec(role=UnitRole.TRAIN), files, limits=ROOMY, on_output=lambda _: None)
    outcome = unit.wait(20)
    assert outcome is not None
    assert (outcome.status, outcome.code) == (OutcomeStatus.FAILED, FailureCode.SANDBOX_FAILED)
    assert unit.wait(0) is outcome


def test_bubblewraps_own_complaint_is_kept(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "package").write_bytes(package_of({}))
    files = UnitFiles(root=tmp_path / "root", package=tmp_path / "package", environment=tmp_path / "gone")
    unit = BubblewrapSandbox().start(UnitSpec(role=UnitRole.TRAIN), files, limits=ROOMY, on_output=lambda _: None)
    outcome = unit.wait(20)
    assert outcome is not None
    assert outcome.code is FailureCode.SANDBOX_FAILED
    assert "bwrap" in outcome.message


def test_a_listener_that_fails_does_not_fail_the_unit(lab: Lab, tmp_path: Path, environment: Path) -> None:
    def refuse(_: bytes) -> None:
        raise RuntimeError("full")

    (tmp_path / "root").mkdir()
    (tmp_path / "package").write_bytes(package_of({"train.py": "print('x'); open('/opt/ml/model/m', 'w').write('m')"}))
    files = UnitFiles(root=tmp_path / "root", package=tmp_path / "package", environment=environment)
    spec = UnitSpec(role=UnitRole.TRAIN, entry="train.py")
    outcome = lab.sandbox.start(spec, files, limits=ROOMY, on_output=refuse).wait(20)
    assert outcome is not None
    assert outcome.status is OutcomeStatus.SUCCEEDED


def test_the_start_of_a_unit_is_cheap(lab: Lab, environment: Path, record_property: Callable[[str, object], None]) -> None:
    """Time from start to the script's first line, beyond what the same interpreter takes anyway; the least of five."""
    bare = min(_timed(lambda: subprocess.run([environment / "bin" / "python", "-c", "pass"], check=True)) for _ in range(5))
    inside = min(_to_first_line(lab) for _ in range(5))
    overhead_ms = round((inside - bare) * 1000)
    record_property("sandbox_start_overhead_ms", overhead_ms)
    print(f"\nsandbox start-up overhead: {overhead_ms} ms (bare interpreter: {round(bare * 1000)} ms)")
    assert overhead_ms < 500


def _to_first_line(lab: Lab) -> float:
    started = time.monotonic()
    flight = lab.start("print('first', flush=True)\nmodel()")
    flight.wait_for(b"first\n")
    took = time.monotonic() - started
    flight.end()
    return took


def _timed(action: Callable[[], object]) -> float:
    started = time.monotonic()
    action()
    return time.monotonic() - started
