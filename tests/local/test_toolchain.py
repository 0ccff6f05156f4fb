"""The tool venv and the synthesis cache: made once, by one process, and afresh after an interruption."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from local import synth
from local.layout import LOCK_FILE, REPO_ROOT
from local.toolchain import ToolchainError, ensure_tools


def _empty_lock(folder: Path) -> Path:
    lock = folder / "tools.lock.txt"
    lock.write_text("")
    return lock


@pytest.mark.stack
def test_venv_is_made_once_and_again_after_an_interruption(tmp_path: Path) -> None:
    said: list[str] = []
    venv, lock = tmp_path / "venv", _empty_lock(tmp_path)

    python = ensure_tools(progress=said.append, tool_venv=venv, lock=lock)
    first = len(said)
    ensure_tools(progress=said.append, tool_venv=venv, lock=lock)
    (venv / "installed.sha256").unlink()  # what an interrupted build looks like
    ensure_tools(progress=said.append, tool_venv=venv, lock=lock)

    assert python.exists()
    assert first == 2
    assert len(said) == 2 * first


@pytest.mark.stack
def test_what_another_environment_has_is_installed_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = _empty_lock(tmp_path)
    entries = LOCK_FILE.read_text(encoding="utf-8").split("\n")
    at = next(number for number, line in enumerate(entries) if line.startswith("h11=="))
    lock.write_text("\n".join(entries[at : at + 3]) + "\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))

    python = ensure_tools(progress=lambda _text: None, tool_venv=tmp_path / "venv", lock=lock)

    assert subprocess.run([python, "-I", "-c", "import h11"], check=False).returncode == 0


@pytest.mark.stack
def test_failed_installation_says_why(tmp_path: Path) -> None:
    lock = _empty_lock(tmp_path)
    lock.write_text("not a requirement ===")

    with pytest.raises(ToolchainError, match="not a requirement"):
        ensure_tools(progress=lambda _text: None, tool_venv=tmp_path / "venv", lock=lock)


@pytest.mark.stack
def test_processes_that_want_the_same_template_share_one_synthesis(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from local import synth;"
        "synth.assembly(progress=lambda text: print(text, flush=True), cache=Path(sys.argv[1]))"
    )
    answers: list[str] = []

    def run() -> None:
        command = [sys.executable, "-c", program, str(tmp_path)]
        answers.append(subprocess.run(command, cwd=REPO_ROOT, capture_output=True, text=True, check=True).stdout)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answer.split()[1] for answer in answers) == ["is", "synthesised"]


def test_content_hash_ignores_byte_code() -> None:
    before = synth.content_hash()
    stray = REPO_ROOT / "infra" / "__pycache__" / "stray.cpython-311.pyc"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"")
    try:
        assert synth.content_hash() == before
    finally:
        stray.unlink()
