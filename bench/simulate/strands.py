"""Several acts at once: each in a thread of its own, but only one of them runs, and hands over where the seed says so.

Threads, because the services are plain calls that cannot be suspended; a baton, because two threads that really ran at the
same time would make another trace each time.
"""

from collections.abc import Callable
from datetime import timedelta
from random import Random
from threading import Lock, Thread
from typing import Protocol

_HAND_OVER = 0.4


class Skewed(Protocol):
    skew: timedelta


class _Strand:
    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act
        self.turn = Lock()
        self.turn.acquire()
        self.error: BaseException | None = None


class Strands:
    """``clock.skew`` belongs to the strand that runs and is kept for it while others do."""

    def __init__(self, random: Random, clock: Skewed) -> None:
        self._random = random
        self._clock = clock
        self._alive: list[_Strand] = []
        self._running: _Strand | None = None
        self._all_done = Lock()
        self._all_done.acquire()
        self.several = False

    def run(self, acts: list[Callable[[], object]]) -> None:
        """Returns when all have ended; raises what the first of them raised."""
        if len(acts) == 1:
            acts[0]()
            return
        strands = [_Strand(act) for act in acts]
        self._alive = list(strands)
        self.several = True
        threads = [Thread(target=self._body, args=(strand,), daemon=True) for strand in strands]
        for thread in threads:
            thread.start()
        self._random.choice(strands).turn.release()
        self._all_done.acquire()
        for thread in threads:
            thread.join()
        self.several = False
        self._clock.skew = timedelta(0)
        for strand in strands:
            if strand.error is not None:
                raise strand.error

    def hand_over(self) -> None:
        """A place where another strand may run on; called by the one that runs."""
        if len(self._alive) < 2 or self._random.random() >= _HAND_OVER:
            return
        mine = self._running
        other = self._random.choice(self._alive)
        if mine is None or other is mine:
            return
        skew = self._clock.skew
        self._running = other
        other.turn.release()
        mine.turn.acquire()
        self._running = mine
        self._clock.skew = skew

    def _body(self, strand: _Strand) -> None:
        strand.turn.acquire()
        self._running = strand
        self._clock.skew = timedelta(0)
        try:
            strand.act()
        except BaseException as error:  # noqa: BLE001  raised again where the strands were started
            strand.error = error
        self._alive.remove(strand)
        if self._alive:
            self._random.choice(self._alive).turn.release()
        else:
            self._all_done.release()
