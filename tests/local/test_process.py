"""The emulator's process: busy ports, stale pid files, deaths at start, private files."""

import json
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from local import process, stack, toolchain
from local.environment import read_env_file, write_env_file
from local.layout import Layout
from local.process import EmulatorError, RootKeys, Running


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(home=tmp_path)


def test_busy_port_is_named_when_it_was_asked_for() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(EmulatorError, match=f"port {port} is in use"):
            process.choose_port(wanted=port)


def test_pid_file_of_a_dead_process_is_forgotten(layout: Layout) -> None:
    layout.run.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    layout.pid_file.write_text(json.dumps({"pid": gone.pid, "born": 1.0, "port": 1}))

    assert process.find_running(layout) is None
    assert not layout.pid_file.exists()


def test_process_that_took_over_the_id_is_not_ours(layout: Layout) -> None:
    layout.run.mkdir(parents=True)
    born = psutil.Process().create_time()
    layout.pid_file.write_text(json.dumps({"pid": os.getpid(), "born": born - 100.0, "port": 1}))

    assert process.find_running(layout) is None
    assert Running(pid=os.getpid(), born=born, port=1).is_alive()


def test_broken_pid_file_counts_as_none(layout: Layout) -> None:
    layout.run.mkdir(parents=True)
    layout.pid_file.write_text("{")

    assert process.find_running(layout) is None


@pytest.mark.stack
def test_death_at_start_shows_the_end_of_the_log(layout: Layout) -> None:
    broken = layout.home / "python"
    broken.write_text("#!/bin/sh\necho 'no such library' >&2\nexit 3\n")
    broken.chmod(0o755)

    with pytest.raises(EmulatorError, match=r"exit 3.*\n.*no such library"):
        process.start(layout=layout, python=broken, port=process.free_port(), keys=RootKeys.make())
    assert process.find_running(layout) is None


@pytest.mark.stack
def test_emulator_ends_with_a_parent_that_is_killed(layout: Layout) -> None:
    program = f"""
import sys, threading
from pathlib import Path
from local import process, toolchain
from local.layout import Layout
python = toolchain.ensure_tools(progress=lambda text: None)
layout = Layout(home=Path({str(layout.home)!r}))
running = process.start(
    layout=layout, python=python, port=process.free_port(), keys=process.RootKeys.make(), with_parent=True
)
print(running.pid, flush=True)
threading.Event().wait()
"""
    toolchain.ensure_tools(progress=lambda _text: None)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()) as parent:
        assert parent.stdout is not None
        emulator = psutil.Process(int(parent.stdout.readline()))
        parent.kill()

    emulator.wait(timeout=10)
    assert not emulator.is_running()


def test_second_command_on_one_stack_is_turned_away(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    with stack._only_one(layout):
        codes: list[int] = []
        other = threading.Thread(target=lambda: codes.append(stack.main(["--home", str(layout.home), "down"])))
        other.start()
        other.join()

    assert codes == [1]
    assert "another `up` or `down`" in capsys.readouterr().err


def test_env_file_round_trips_and_is_private(layout: Layout) -> None:
    variables = {"QUEUES": '{"a": "it\'s $HOME"}', "EMPTY": "", "URL": "http://127.0.0.1:1/_aws"}

    write_env_file(layout.env_file, variables)

    assert read_env_file(layout.env_file) == variables
    assert stat.S_IMODE(layout.env_file.stat().st_mode) == 0o600
    shell = subprocess.run(
        ["sh", "-c", f'set -a; . {layout.env_file}; printf %s "$QUEUES"'], capture_output=True, text=True, check=True
    )
    assert shell.stdout == variables["QUEUES"]
