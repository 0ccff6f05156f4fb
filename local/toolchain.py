"""The emulator's own virtual environment, made from a pinned and hashed lock.

It is separate because the emulator pins another botocore than the project uses.
"""

import hashlib
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path

from local.layout import LOCK_FILE, TOOL_VENV
from local.locks import exclusive

_MARKER = "installed.sha256"


class ToolchainError(Exception):
    """The tool venv could not be made; the message holds the end of pip's own words."""


def ensure_tools(*, progress: Callable[[str], None], tool_venv: Path = TOOL_VENV, lock: Path = LOCK_FILE) -> Path:
    """Return the tool venv's interpreter, building the venv only when the lock or the interpreter changed.

    An interrupted build leaves no marker, so the next call starts it afresh. Calls at the same time wait for one build.
    """
    with exclusive(tool_venv.with_suffix(".lock")):
        return _ensure(progress=progress, tool_venv=tool_venv, lock=lock)


def _ensure(*, progress: Callable[[str], None], tool_venv: Path, lock: Path) -> Path:
    wanted = _fingerprint(lock)
    marker = tool_venv / _MARKER
    python = tool_venv / "bin" / "python"
    if python.exists() and marker.exists() and marker.read_text() == wanted:
        return python
    started = time.monotonic()
    progress(f"making the emulator's virtual environment from {lock.name} (once)")
    venv.create(tool_venv, with_pip=True, clear=True)
    _install(python=python, lock=lock, progress=progress)
    marker.write_text(wanted)
    progress(f"emulator installed in {time.monotonic() - started:.1f} s")
    return python


def _fingerprint(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()


def _install(*, python: Path, lock: Path, progress: Callable[[str], None]) -> None:
    # Isolated: a PYTHONPATH that leads to another environment would have pip leave out what it finds there.
    command = [str(python), "-I", "-m", "pip", "install", "--no-deps", "--require-hashes", "--progress-bar", "off"]
    command += ["--disable-pip-version-check", "-r", str(lock)]
    tail: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        for line in pip.stdout or ():
            tail = [*tail[-14:], line.rstrip()]
            if line.startswith("Collecting"):
                progress(f"  {line.split('(')[0].strip().lower()}")
    if pip.returncode != 0:
        raise ToolchainError("pip could not install the emulator:\n" + "\n".join(tail))
