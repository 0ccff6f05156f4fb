"""The job queues as machines hear them: messages that come late or twice, and whoever waits for one told when it is seen."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import partial
from random import Random

from bench.simulate.faults import Faults
from bench.simulate.loop import Loop
from gpupool.dispatch.memory import MemoryQueue
from gpupool.dispatch.model import QueueUrls
from gpupool.wire.joining import Doorbell
from gpupool.wire.units import Doorway


class Doorbells(MemoryQueue):
    """``heard(url)`` is called when something may have become visible there."""

    def __init__(self, urls: QueueUrls, random: Random, loop: Loop, faults: Faults) -> None:
        super().__init__(urls=urls, clock=loop.clock)
        self._random, self._loop, self._faults = random, loop, faults
        self.heard: Callable[[str], None] = lambda _url: None
        # Dead letters on their way to their function, by queue.
        self.buried: Counter[str] = Counter()

    def waiting(self, queue_url: str) -> int:
        return super().waiting(queue_url) + self.buried[queue_url]

    def seen_at(self, doorway: Doorway) -> datetime | None:
        """From when on others see the message; None when it is gone, or has been handed out again."""
        message = self._of(doorway.queue_url).by_receipt.get(doorway.receipt_handle)
        return None if message is None else message.visible_at

    def ring(self, queue_url: str, bell: Doorbell, *, group: str) -> None:
        if self._faults.happens("bell_again"):
            late = self._random.choice((0.1, 2, 300))
            self._ring_later(queue_url, bell, group, self._random.uniform(0, late))
        if self._faults.happens("bell_slow"):
            self._ring_later(queue_url, bell, group, self._random.uniform(0, 60))
        else:
            self._arrive(queue_url, bell, group)

    def _ring_later(self, queue_url: str, bell: Doorbell, group: str, seconds: float) -> None:
        self._loop.after(seconds, "bell", bell.unit_id, partial(self._arrive, queue_url, bell, group))

    def _arrive(self, queue_url: str, bell: Doorbell, group: str) -> None:
        super().ring(queue_url, bell, group=group)
        self.heard(queue_url)
