"""One mutant, one stage: in a copy of this process, which nothing of it outlives."""

import gc
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

_LONGEST_WALL_SECONDS = 3 * 3_600


@dataclass(frozen=True, slots=True)
class Verdict:
    """``noticed``: what the stage said; empty for a mutant that it did not notice."""

    noticed: str
    seconds: float


def in_a_copy(prepare: Callable[[], None], work: Callable[[], str], *, cpu_seconds: int) -> Verdict:
    """A copy that hangs, dies or does not even load has been noticed too."""
    reading, writing = os.pipe()
    began = time.perf_counter()
    gc.freeze()
    pid = os.fork()
    if pid == 0:
        _be_a_copy(prepare, work, writing, cpu_seconds)
    os.close(writing)
    _, status = os.waitpid(pid, 0)
    _end_what_it_started(pid)
    with os.fdopen(reading, "rb") as said:
        answer = said.read()
    seconds = time.perf_counter() - began
    if answer:
        return Verdict(str(json.loads(answer)), seconds)
    hung = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL, signal.SIGALRM)
    return Verdict("it never came to an end" if hung else "the process died", seconds)


def _be_a_copy(prepare: Callable[[], None], work: Callable[[], str], writing: int, cpu_seconds: int) -> None:
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 5))
        signal.alarm(_LONGEST_WALL_SECONDS)
        _be_silent()
        try:
            prepare()
            noticed = work()
        except BaseException as error:  # noqa: BLE001  whatever it is, it is noticed
            noticed = traceback.format_exception_only(error)[-1].strip()
        os.write(writing, json.dumps(noticed[:500]).encode())
    finally:
        os._exit(0)


def _be_silent() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    sys.setrecursionlimit(2_000)


def _end_what_it_started(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
