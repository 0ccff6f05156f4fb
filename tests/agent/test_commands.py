"""The program's commands, their exit codes, and the page that explains them."""

import json
from pathlib import Path

import pytest

from node_agent import phases
from node_agent.__main__ import main
from node_agent.errors import UnrecoverableError
from node_agent.exit_codes import ExitCode
from node_agent.in_hand import AbandonReason, Stage
from node_agent.phases import Course, LoopName, Phase
from node_agent.state import StateDir
from tests.agent.fake_control_plane import DEVICE_KEY, PAIRING_CODE, FakeControlPlane

PAGE = Path(__file__).parents[2] / "docs" / "agent-states.md"


def test_pairing_keeps_the_key_and_says_who_the_machine_is(
    control_plane: FakeControlPlane, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["pair", "--api", control_plane.url, "--code", PAIRING_CODE, "--state-dir", str(tmp_path), "--name", "attic"]
    assert main(words) == ExitCode.STOPPED
    said = capsys.readouterr()
    assert json.loads(said.out) == {"node_id": "node-1", "tier": "community", "name": "attic"}
    assert DEVICE_KEY not in said.out + said.err
    identity = StateDir(tmp_path).identity()
    assert (identity.device_key, identity.api) == (DEVICE_KEY, control_plane.url)
    assert control_plane.reported[0]["cpu_count"] >= 1

    assert main(["status", "--state-dir", str(tmp_path)]) == ExitCode.STOPPED
    shown = json.loads(capsys.readouterr().out)
    assert (shown["node_id"], shown["running"]) == ("node-1", False)
    assert "device_key" not in shown


def test_a_wrong_code_needs_another_one(control_plane: FakeControlPlane, tmp_path: Path) -> None:
    words = ["pair", "--api", control_plane.url, "--code", "WRONG-CODE-X", "--state-dir", str(tmp_path)]
    assert main(words) == ExitCode.REFUSED
    assert not (tmp_path / "identity.json").exists()


def test_pairing_without_a_control_plane_can_be_tried_again(control_plane: FakeControlPlane, tmp_path: Path) -> None:
    control_plane.unreachable = True
    words = ["pair", "--api", control_plane.url, "--code", PAIRING_CODE, "--state-dir", str(tmp_path)]
    assert main(words) == ExitCode.UNREACHABLE


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["run"], ExitCode.NOT_PAIRED),
        (["status"], ExitCode.NOT_PAIRED),
        (["run", "--cpu-slots", "0"], ExitCode.USAGE),
        (["pair", "--code", PAIRING_CODE], ExitCode.USAGE),
        (["pair", "--code", PAIRING_CODE, "--api", "http://pool.example"], ExitCode.USAGE),
    ],
)
def test_what_cannot_begin_says_why(
    words: list[str], code: ExitCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GPU_AGENT_API", raising=False)
    assert main([*words, "--state-dir", str(tmp_path)]) == code
    assert "agent.refused" in capsys.readouterr().err


def test_an_agent_that_runs_keeps_others_from_its_directory(control_plane: FakeControlPlane, tmp_path: Path) -> None:
    with StateDir(tmp_path).locked():
        words = ["pair", "--api", control_plane.url, "--code", PAIRING_CODE, "--state-dir", str(tmp_path)]
        assert main(words) == ExitCode.STATE_DIR_IN_USE


def test_check_names_every_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--state-dir", str(tmp_path)]) in (ExitCode.STOPPED, ExitCode.HOST_NOT_READY)
    said = capsys.readouterr().out
    for name in ("sandbox", "disk", "clock", "gpu"):
        assert f" {name} " in said


# The course


def test_signals_step_through_stopping_and_cancelling() -> None:
    course = phases.after_start(Course())
    assert course.phase is Phase.SERVING
    course = phases.after_signal(course, units_in_hand=True)
    assert (course.phase, course.exit_code) == (Phase.STOPPING, ExitCode.STOPPED)
    course = phases.after_signal(course, units_in_hand=True)
    assert (course.phase, course.exit_code) == (Phase.CANCELLING, ExitCode.UNITS_GIVEN_BACK)
    assert phases.after_signal(course, units_in_hand=True).over


def test_cancelling_nothing_is_an_ordinary_stop() -> None:
    course = Course(phase=Phase.STOPPING)
    assert phases.after_signal(course, units_in_hand=False).exit_code is ExitCode.STOPPED


@pytest.mark.parametrize(
    ("loop", "error", "phase", "code"),
    [
        (LoopName.HEARTBEAT, ValueError(), Phase.CANCELLING, ExitCode.LOOP_DIED),
        (LoopName.POLLER, ValueError(), Phase.STOPPING, ExitCode.LOOP_DIED),
        (LoopName.LOG_SHIPPER, ValueError(), Phase.STOPPING, ExitCode.LOOP_DIED),
        (LoopName.POLLER, UnrecoverableError("revoked"), Phase.CANCELLING, ExitCode.REFUSED),
        (LoopName.START, UnrecoverableError("revoked"), Phase.CANCELLING, ExitCode.REFUSED),
    ],
)
def test_a_death_ends_the_agent_with_its_cause(loop: LoopName, error: Exception, phase: Phase, code: ExitCode) -> None:
    course = phases.after_death(Course(phase=Phase.SERVING), loop=loop, error=error)
    assert (course.phase, course.exit_code) == (phase, code)
    again = phases.after_death(course, loop=LoopName.HEARTBEAT, error=ValueError())
    assert again.exit_code is code, "the first cause stays"


def test_the_end_of_work_ends_only_an_agent_that_is_leaving() -> None:
    assert not phases.after_work_ended(Course(phase=Phase.SERVING)).over
    assert phases.after_work_ended(Course(phase=Phase.STOPPING)).over
    assert phases.after_start(Course(phase=Phase.STOPPING)).phase is Phase.STOPPING
    assert phases.after_idle(Course(phase=Phase.SERVING)).phase is Phase.STOPPING


# The page


def test_the_page_names_every_state_and_exit_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for word in [*Phase, *Stage, *AbandonReason]:
        assert f"`{word.value}`" in page, word
    for code in ExitCode:
        assert f"| {code.value} | {code.name}" in page, code
    for file in ("identity.json", "status.json", "agent.lock", "agent.toml", "speed.json", "lease.json", "log.txt"):
        assert f"`{file}`" in page or f"{file} " in page, file
    assert len(page.splitlines()) <= 80
