"""Whether a download still moves. Without a bound a server that sends a byte now and then would hold a unit for days."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from node_agent.errors import RecoverableError, RefusedError


class StalledError(RecoverableError):
    """This connection brings next to nothing; another one may do better."""


class TooSlowError(RefusedError):
    """All connections together took longer than the object may take."""


@dataclass(frozen=True)
class PaceBounds:
    """Silence: no byte at all. ``window_bytes`` must come in every window; over all, 1 Mbit/s once ``patience`` is used up."""

    silence_seconds: float = 30.0
    window_seconds: float = 60.0
    window_bytes: int = 65_536
    patience_seconds: float = 600.0
    slowest_bytes_per_second: float = 131_072.0


class Pace:
    """One object's way here, over as many connections as it takes."""

    def __init__(self, bounds: PaceBounds, *, size_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._bounds = bounds
        self._clock = clock
        self._ends = clock() + bounds.patience_seconds + size_bytes / bounds.slowest_bytes_per_second
        self._window_began = clock()
        self._window_bytes = 0

    def connect(self) -> None:
        """Before every connection. Raises ``TooSlowError``."""
        self._window_began = self._clock()
        self._window_bytes = 0
        self._refuse_late(self._window_began)

    def receive(self, size: int) -> None:
        """``size`` bytes came. Raises ``StalledError`` or ``TooSlowError``."""
        now = self._clock()
        self._window_bytes += size
        self._refuse_late(now)
        if now - self._window_began < self._bounds.window_seconds:
            return
        if self._window_bytes < self._bounds.window_bytes:
            raise StalledError(f"{self._window_bytes} bytes in {now - self._window_began:.0f} s")
        self._window_began, self._window_bytes = now, 0

    def _refuse_late(self, now: float) -> None:
        if now > self._ends:
            raise TooSlowError("it took longer than an object of its size may take")
