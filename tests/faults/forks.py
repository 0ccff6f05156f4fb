"""A trial continues a run in a copy of this process, taken in the middle of a call: what led there need not be repeated."""

import gc
import os
from collections.abc import Callable


class Forks:
    """Up to ``limit`` copies run beside the original."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running: set[int] = set()

    def split(self) -> bool:
        """True in the copy, False in the original, which goes on at once unless too many copies run."""
        while len(self._running) >= self._limit:
            self._wait()
        gc.freeze()  # what both share is not copied just to be looked at
        pid = os.fork()
        if pid == 0:
            gc.disable()
            self._running.clear()
            self._limit = 1
            return True
        self._running.add(pid)
        return False

    def join(self) -> None:
        """Waits for every copy."""
        while self._running:
            self._wait()

    def _wait(self) -> None:
        pid, _status = os.waitpid(-1, 0) if len(self._running) > 1 else os.waitpid(next(iter(self._running)), 0)
        self._running.discard(pid)


def ending(work: Callable[[], None]) -> None:
    """Runs ``work`` and ends this copy, whatever happens: it must never return into what started the original."""
    try:
        work()
    finally:
        os._exit(0)
