"""Running the package's entry as a child process: its output goes on to the agent, its death takes everything along."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from .metrics import LineCollector

_CHUNK = 65_536
_TERMINATED = 143  # 128 + SIGTERM, as a shell says it
_TAIL = 16_384
# A killed process is gone when the kernel says that nobody is left; in practice after the first or second round.
_SWEEPS = 2_000


@dataclass
class Ended:
    """How the entry ended: ``exit_code`` as a shell says it (137 for SIGKILL), and the last of what it printed."""

    exit_code: int
    tail: bytes
    records: list[dict[str, object]] = field(default_factory=list)


class Control:
    """Orders from the agent on this program's standard input.

    One byte or the end of the stream means: end the work. The end of the stream is how a dead agent is noticed even
    where the kernel's parent-death signal was lost.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def listen(self, descriptor: int) -> None:
        """Starts waiting for orders in the background."""
        threading.Thread(target=self._listen, args=(descriptor,), daemon=True, name="control").start()

    def govern(self, process: subprocess.Popen[bytes]) -> None:
        """Makes ``process`` the one that an order ends; without one, an order ends this program."""
        with self._lock:
            self._process = process

    def _listen(self, descriptor: int) -> None:
        order = os.read(descriptor, 1)
        if not order:
            os._exit(_TERMINATED)
        self._end()

    def _end(self) -> None:
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self._process is None:
                os._exit(_TERMINATED)
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGTERM)


def run_entry(
    command: list[str], *, cwd: Path, environment: dict[str, str], control: Control, sweep: Callable[[], None]
) -> Ended:
    """Runs ``command`` to its end and copies its output to this program's stdout.

    ``sweep`` ends whatever the entry left behind; afterwards nothing of the stranger's runs any more.
    """
    Path(environment["HOME"]).mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    control.govern(process)
    # Grandchildren may hold the pipe open: only ending them brings the end of the output.
    threading.Thread(target=_sweep_after, args=(process, sweep), daemon=True, name="sweep").start()
    collector = LineCollector()
    with cast(IO[bytes], process.stdout) as output:
        tail = _forward(output, collector)
    code = process.wait()
    sweep()
    return Ended(128 - code if code < 0 else code, tail, collector.records)


def _sweep_after(process: subprocess.Popen[bytes], sweep: Callable[[], None]) -> None:
    process.wait()
    sweep()


def _forward(output: IO[bytes], collector: LineCollector) -> bytes:
    tail = b""
    while chunk := os.read(output.fileno(), _CHUNK):
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        collector.feed(chunk)
        tail = (tail + chunk)[-_TAIL:]
    collector.close()
    return tail


def kill_everyone_else() -> None:
    """Ends every process of the sandbox but this one and its init.

    Only for the second process of a PID namespace: anywhere else the same call would end the caller's whole session.
    """
    if os.getpid() != 2:
        return
    pause = threading.Event()
    with contextlib.suppress(ProcessLookupError):
        for _ in range(_SWEEPS):
            os.kill(-1, signal.SIGKILL)
            pause.wait(0.002)


def apply_limits(*, memory_bytes: int, disk_bytes: int, processes: int, has_gpu: bool) -> None:
    """Bounds this process and all its children; the agent's own watch over the whole tree stands behind them."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, 16_384)
    _limit(resource.RLIMIT_FSIZE, disk_bytes)
    _limit(resource.RLIMIT_NPROC, processes)
    _limit(resource.RLIMIT_MSGQUEUE, 0)
    if not has_gpu:
        # Twice the allowance: address space is not memory yet, but a single huge allocation must fail before the
        # watch could see it. GPU drivers map far more than they use, so there only the watch counts.
        _limit(resource.RLIMIT_DATA, 2 * memory_bytes)


def _limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))
