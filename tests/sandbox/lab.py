"""A place to run hostile programs: each becomes the entry of a package and runs as a train unit in the real sandbox."""

import contextlib
import io
import json
import textwrap
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from gpupool.wire.vocabulary import UnitRole
from node_agent.environments import EnvironmentStore
from node_agent.sandbox import Limits, UnitFiles, UnitOutcome, UnitSpec
from node_agent.sandbox.bubblewrap import BubblewrapSandbox
from node_agent.sandbox.running import BubblewrapUnit

ROOMY = Limits(
    wall_seconds=60, memory_mb=512, disk_mb=256, processes=128, log_bytes=1 << 20, output_bytes=64 << 20, cpu_count=2
)

# What every hostile program may use: say(...) prints findings, attempt(...) prints what came of a call.
_PRELUDE = """
import ctypes, json, os, signal, socket, stat, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def say(**facts): print(json.dumps({"said": facts}), flush=True)
def attempt(name, call):
    try: result = call()
    except OSError as error: say(**{name: "refused " + type(error).__name__})
    else: say(**{name: "did " + repr(result)[:200]})
def syscall(number, *args):
    result = libc.syscall(number, *args)
    if result < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def model(): open(os.environ["SM_MODEL_DIR"] + "/m", "w").write("m")
"""


@dataclass(frozen=True)
class Run:
    """A finished unit: its outcome, its log, and what it said by name."""

    outcome: UnitOutcome
    log: bytes
    root: Path

    @property
    def said(self) -> dict[str, object]:
        facts: dict[str, object] = {}
        for line in self.log.splitlines():
            if line.startswith(b'{"said"'):
                facts |= json.loads(line)["said"]
        return facts


@dataclass
class Flight:
    """A unit that is still running."""

    unit: BubblewrapUnit
    output: bytearray
    root: Path

    def wait_for(self, words: bytes, *, seconds: float = 20) -> None:
        poll(lambda: words in self.output, seconds=seconds, what=f"{words!r} in the log")

    def end(self) -> Run:
        outcome = self.unit.wait(120)
        assert outcome is not None, "the unit never ended"
        return Run(outcome, bytes(self.output), self.root)


class Lab:
    """Starts units below ``folder`` and removes what they leave."""

    def __init__(self, folder: Path, environment: Path, *, control_groups: bool = True) -> None:
        self.sandbox = BubblewrapSandbox(grace_seconds=1.0, control_groups=control_groups)
        self._folder = folder
        self._environment = environment
        self._count = 0

    def run(self, program: str, *, limits: Limits = ROOMY, **spec: object) -> Run:
        """Runs ``program`` to its end."""
        return self.start(program, limits=limits, **spec).end()

    def start(self, program: str, *, limits: Limits = ROOMY, **spec: object) -> Flight:
        source = _PRELUDE + textwrap.dedent(program)
        return self.start_package(package_of({"train.py": source}), limits=limits, **spec)

    def start_package(self, package: bytes, *, limits: Limits = ROOMY, **spec: object) -> Flight:
        self._count += 1
        folder = self._folder / f"unit-{self._count}"
        (folder / "work").mkdir(parents=True)
        (folder / "package").write_bytes(package)
        wanted = replace(UnitSpec(role=UnitRole.TRAIN, entry="train.py"), **spec)  # type: ignore[arg-type]
        files = UnitFiles(root=folder / "work", package=folder / "package", environment=self._environment)
        output = bytearray()
        unit = self.sandbox.start(wanted, files, limits=limits, on_output=output.extend)
        return Flight(unit, output, folder / "work")


def package_of(members: dict[str, str]) -> bytes:
    """A zip of text files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def bare_environment(root: Path) -> Path:
    """An environment without packages."""
    store = EnvironmentStore(root, hidden=(), max_bytes=1 << 30, max_environment_bytes=1 << 30)
    return store.obtain((), stop=threading.Event())


def processes_with(marker: str) -> list[int]:
    """Processes of this host whose command line holds ``marker``."""
    return [pid for pid, words in _command_lines() if marker.encode() in words]


def poll(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Waits until ``condition`` holds."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        pause.wait(0.02)


def _command_lines() -> Iterator[tuple[int, bytes]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                yield int(entry.name), (entry / "cmdline").read_bytes()
