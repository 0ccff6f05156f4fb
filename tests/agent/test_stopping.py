"""Signals, crashes and restarts. Stopping takes no new work; cancelling ends the work in hand too."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from node_agent.exit_codes import ExitCode
from node_agent.sandbox.memory import Script
from tests.agent.fake_control_plane import DEVICE_KEY, FakeControlPlane, unit_id
from tests.agent.harness import WAIT_SECONDS, AgentInThread, eventually, identity_for

HANGS = Script(hangs=True)


def test_an_idle_agent_stops_at_once(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    agent.settings["poll_seconds"] = 20
    agent.start()
    eventually(lambda: control_plane.calls["receive"])
    agent.signal()
    assert agent.wait(within=4.0) is ExitCode.STOPPED
    assert control_plane.heartbeats[-1]["draining"] is True


def test_the_first_signal_finishes_the_unit_in_hand_and_takes_no_other(
    control_plane: FakeControlPlane, agent: AgentInThread
) -> None:
    unit = control_plane.add_unit(1)
    agent.start(HANGS)
    eventually(lambda: agent.sandbox.started)
    agent.signal()
    eventually(lambda: any(beat["draining"] for beat in control_plane.heartbeats))
    other = control_plane.add_unit(2)
    assert agent.exit_code is None
    agent.sandbox.started[0].finish()
    assert agent.wait() is ExitCode.STOPPED
    assert unit.completed
    assert other.attempt == 0


def test_the_second_signal_gives_the_unit_back(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    unit = control_plane.add_unit()
    agent.start(HANGS)
    eventually(lambda: agent.sandbox.started)
    agent.signal()
    agent.signal()
    assert agent.wait() is ExitCode.UNITS_GIVEN_BACK
    assert agent.sandbox.started[0].cancelled
    assert [report["code"] for report in unit.failures] == ["NODE_DRAINED"]
    assert unit.status == "queued"
    assert not list(agent.work_root.iterdir())


def test_the_third_signal_does_not_wait_for_anything(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    control_plane.add_unit()
    agent.start(HANGS)
    eventually(lambda: agent.sandbox.started)
    agent.sandbox.started[0].cancel = lambda: None  # type: ignore[method-assign] # a unit that cannot be killed
    for _ in range(3):
        agent.signal()
    assert agent.wait() is ExitCode.UNITS_GIVEN_BACK


def test_a_stop_while_the_control_plane_is_out_of_reach(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    control_plane.unreachable = True
    agent.start()
    eventually(lambda: control_plane.calls["credentials"] >= 2)
    agent.signal()
    assert agent.wait(within=4.0) is ExitCode.STOPPED


def test_an_agent_that_may_leaves_when_it_has_been_idle(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    unit = control_plane.add_unit()
    agent.start(idle_exit_seconds=2)
    assert agent.wait() is ExitCode.STOPPED
    assert unit.completed


class BreakingHeart:
    """A heartbeat loop with a defect."""

    def __init__(self) -> None:
        self.breaks = threading.Event()

    def run(self, _finished: threading.Event) -> None:
        self.breaks.wait(WAIT_SECONDS)
        raise ZeroDivisionError("a defect")


def test_a_dead_loop_ends_the_agent_loudly(
    control_plane: FakeControlPlane, agent: AgentInThread, caplog: pytest.LogCaptureFixture
) -> None:
    control_plane.add_unit()
    heart = BreakingHeart()
    agent.change_parts = lambda parts: replace(parts, heartbeat=heart)  # type: ignore[arg-type]
    agent.start(HANGS)
    eventually(lambda: agent.sandbox.started)
    heart.breaks.set()
    assert agent.wait() is ExitCode.LOOP_DIED
    assert "loop.died" in caplog.text
    assert agent.sandbox.started[0].cancelled


# The same as a process of its own, with real signals.


class AgentProcess:
    """``python -m tests.agent.agent_process``: the real agent, its units scripted to hang."""

    def __init__(self, control_plane: FakeControlPlane, state: Path) -> None:
        self.control_plane = control_plane
        self.state = state
        self.process: subprocess.Popen[bytes] | None = None
        state.mkdir(exist_ok=True)
        (state / "identity.json").write_text(identity_for(control_plane).model_dump_json())

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "AWS_ENDPOINT_URL": self.control_plane.url}
        with (self.state / "stderr").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.agent.agent_process", str(self.state), *words], env=environment, stderr=log
            )
        return self.process

    @property
    def log(self) -> str:
        return (self.state / "stderr").read_text()


@pytest.fixture
def process(control_plane: FakeControlPlane, tmp_path: Path) -> Iterator[AgentProcess]:
    running = AgentProcess(control_plane, tmp_path / "state")
    yield running
    if running.process is not None and running.process.poll() is None:
        running.process.kill()
        running.process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_real_signals_drain_and_then_give_back(
    number: signal.Signals, control_plane: FakeControlPlane, process: AgentProcess
) -> None:
    unit = control_plane.add_unit()
    running = process.start("--hang")
    eventually(lambda: unit.progress)
    running.send_signal(number)
    eventually(lambda: any(beat["draining"] for beat in control_plane.heartbeats))
    assert running.poll() is None
    running.send_signal(number)
    assert running.wait(15) == ExitCode.UNITS_GIVEN_BACK
    assert [report["code"] for report in unit.failures] == ["NODE_DRAINED"]


def test_a_killed_agent_returns_its_unit_when_it_restarts(control_plane: FakeControlPlane, process: AgentProcess) -> None:
    unit = control_plane.add_unit()
    running = process.start("--hang")
    eventually(lambda: unit.progress)
    running.kill()
    running.wait()
    left = list((process.state / "work").iterdir())
    assert [folder.name for folder in left] == [f"unit-{unit_id(1)}.1"]
    assert (left[0] / "lease.json").stat().st_mode & 0o777 == 0o600

    process.start()
    eventually(lambda: unit.status == "queued", what="the old lease is returned")
    assert [(report["code"], report["doorway"]) for report in unit.failures] == [("NODE_DRAINED", unit.doorway)]
    control_plane.ring(unit.unit_id)
    eventually(lambda: unit.completed)
    assert unit.attempt == 2
    eventually(lambda: not list((process.state / "work").iterdir()))


def test_leftovers_that_cannot_be_understood_are_removed(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    for name, lease in (("unit-a.1", "half a fi"), ("unit-b.1", '{"attempt": 0}')):
        (agent.work_root / name / "sandbox" / "deep").mkdir(parents=True)
        (agent.work_root / name / "lease.json").write_text(lease)
    (agent.work_root / "the owner's own").mkdir()
    agent.start()
    eventually(lambda: control_plane.heartbeats)
    assert [folder.name for folder in agent.work_root.iterdir()] == ["the owner's own"]
    assert control_plane.calls["fail"] == 0


def test_two_agents_do_not_share_a_state_directory(control_plane: FakeControlPlane, process: AgentProcess) -> None:
    process.start()
    # The poller of an earlier test's agent may still call once; this line is the first one's own.
    eventually(lambda: "agent.ready" in process.log)
    first = process.process
    second = process.start()
    assert second.wait(15) == ExitCode.STATE_DIR_IN_USE
    process.process = first


def test_an_idle_agent_is_small_and_keeps_its_secrets(control_plane: FakeControlPlane, process: AgentProcess) -> None:
    running = process.start("--log-level", "debug")
    eventually(lambda: control_plane.calls["receive"] and len(control_plane.heartbeats) >= 2)
    resident = next(
        int(line.split()[1])
        for line in Path(f"/proc/{running.pid}/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )
    assert resident < 80_000, f"{resident} kB"
    status = json.loads((process.state / "status.json").read_text())
    assert (status["phase"], status["units"], status["pid"]) == ("serving", [], running.pid)
    running.terminate()
    assert running.wait(15) == ExitCode.STOPPED
    said = process.log + (process.state / "status.json").read_text()
    assert "agent.ready" in said
    for secret in (DEVICE_KEY, "AKIDEXAMPLE", "secret", "token"):
        assert secret not in said
