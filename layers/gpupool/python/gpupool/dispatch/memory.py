"""Doorbells in memory: visibility by the given clock, receive counts, a dead-letter queue per queue."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import RLock

from gpupool.clock import Clock
from gpupool.dispatch.model import QueueUrls, check_doorway
from gpupool.units.model import Pool
from gpupool.wire.joining import Doorbell
from gpupool.wire.units import Doorway
from gpupool.wire.vocabulary import CapabilityClass


@dataclass(slots=True)
class _Message:
    body: str
    group: str
    visible_at: datetime
    receives: int = 0
    receipt: str | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """One received message; ``receives`` counts this receive."""

    bell: Doorbell
    doorway: Doorway
    receives: int


class MemoryQueue:
    """Behaves like SQS as far as the port shows it, and can be received from, which the port cannot."""

    def __init__(self, *, urls: QueueUrls, clock: Clock, visibility_seconds: int = 30, max_receives: int = 20) -> None:
        self._urls = urls
        self._clock = clock
        self._visibility = timedelta(seconds=visibility_seconds)
        self._max_receives = max_receives
        self._messages: dict[str, list[_Message]] = defaultdict(list)
        self._dead: dict[str, list[Doorbell]] = defaultdict(list)
        self._receipts = 0
        self._lock = RLock()

    def queue_url(self, pool: Pool, capability: CapabilityClass) -> str:
        return self._urls.require(pool, capability)

    def ring(self, queue_url: str, bell: Doorbell, *, group: str) -> None:
        with self._lock:
            self._messages[queue_url].append(_Message(bell.model_dump_json(), group, self._clock.now()))

    def hide(self, doorway: Doorway, *, seconds: int) -> bool:
        check_doorway(doorway, served=self._urls)
        with self._lock:
            message = self._in_flight(doorway)
            if message is None:
                return False
            message.visible_at = self._clock.now() + timedelta(seconds=seconds)
            return True

    def silence(self, doorway: Doorway) -> None:
        check_doorway(doorway, served=self._urls)
        with self._lock:
            message = self._holding(doorway)
            if message is not None:
                self._messages[doorway.queue_url].remove(message)

    def receive(self, queue_url: str) -> Received | None:
        """The oldest visible message, hidden from now on for the queue's visibility time; None when nothing is visible."""
        with self._lock:
            now = self._clock.now()
            for message in list(self._messages[queue_url]):
                if message.visible_at > now:
                    continue
                if message.receives >= self._max_receives:
                    self._messages[queue_url].remove(message)
                    self._dead[queue_url].append(Doorbell.model_validate_json(message.body))
                    continue
                return self._hand_out(queue_url, message)
            return None

    def waiting(self, queue_url: str) -> int:
        """Messages in the queue, hidden ones included."""
        with self._lock:
            return len(self._messages[queue_url])

    def take_dead_letters(self, queue_url: str) -> list[Doorbell]:
        """The queue's dead letters, which are then gone."""
        with self._lock:
            return self._dead.pop(queue_url, [])

    def _hand_out(self, queue_url: str, message: _Message) -> Received:
        self._receipts += 1
        message.receipt = f"receipt-{self._receipts}"
        message.receives += 1
        message.visible_at = self._clock.now() + self._visibility
        doorway = Doorway(queue_url=queue_url, receipt_handle=message.receipt)
        return Received(Doorbell.model_validate_json(message.body), doorway, message.receives)

    def _holding(self, doorway: Doorway) -> _Message | None:
        found = (message for message in self._messages[doorway.queue_url] if message.receipt == doorway.receipt_handle)
        return next(found, None)

    def _in_flight(self, doorway: Doorway) -> _Message | None:
        message = self._holding(doorway)
        return message if message and message.visible_at > self._clock.now() else None
