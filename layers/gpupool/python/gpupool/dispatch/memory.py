"""Doorbells in memory: visibility by the given clock, receive counts, fairness between groups, dead letters."""

import heapq
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import RLock

from gpupool.clock import Clock
from gpupool.dispatch.fairness import Fairness, GroupState, WorkedTime
from gpupool.dispatch.model import QueueUrls, check_doorway
from gpupool.units.model import Pool
from gpupool.wire.joining import Doorbell
from gpupool.wire.units import Doorway
from gpupool.wire.vocabulary import CapabilityClass

_MOST_HIDDEN_SECONDS = 43_200


@dataclass(slots=True, eq=False)
class _Message:
    bell: Doorbell
    group: "_Group"
    number: int
    visible_at: datetime
    receives: int = 0
    receipt: str | None = None
    # When it was last handed out; None while it is visible.
    taken_at: datetime | None = None

    def __lt__(self, other: "_Message") -> bool:
        return self.number < other.number


@dataclass(slots=True, eq=False)
class _Group:
    """One sender's messages: ``ready`` are the visible ones by number, the oldest first."""

    name: str
    last_sent: datetime
    ready: list[_Message] = field(default_factory=list)
    in_flight: int = 0


class _Messages:
    """One queue. Hidden messages wait in a heap by the moment at which they are seen; entries that a later change of
    visibility has overtaken are dropped when they come up."""

    def __init__(self) -> None:
        self.groups: dict[str, _Group] = {}
        self.hidden: list[tuple[datetime, _Message]] = []
        self.by_receipt: dict[str, _Message] = {}
        self.dead: list[Doorbell] = []
        self.count = 0
        self.in_flight = 0
        self.worked = WorkedTime()

    def add(self, bell: Doorbell, group_name: str, number: int, *, now: datetime) -> None:
        group = self.groups.setdefault(group_name, _Group(group_name, now))
        group.last_sent = now
        heapq.heappush(group.ready, _Message(bell, group, number, now))
        self.count += 1

    def settle(self, *, now: datetime) -> None:
        """Shows what has become visible by ``now``."""
        while self.hidden and self.hidden[0][0] <= now:
            shown_at, message = heapq.heappop(self.hidden)
            if message.taken_at is not None and message.visible_at == shown_at:
                self._land(message, now=shown_at)
                heapq.heappush(message.group.ready, message)
        self.worked.forget(now=now)

    def next_shown_at(self) -> datetime | None:
        while self.hidden:
            shown_at, message = self.hidden[0]
            if message.taken_at is not None and message.visible_at == shown_at:
                return shown_at
            heapq.heappop(self.hidden)
        return None

    def next_group(self, fairness: Fairness | None, *, now: datetime) -> _Group | None:
        """Whose message comes next; None when none is visible."""
        waiting = [group for group in self.groups.values() if group.ready]
        if not waiting:
            return None
        if fairness is None or len(waiting) == 1:
            return min(waiting, key=lambda group: group.ready[0].number)
        states = (
            GroupState(group.name, group.ready[0].number, group.in_flight, group.last_sent, self.worked.of(group.name))
            for group in waiting
        )
        return self.groups[fairness.next_group(states, in_flight=self.in_flight, seconds=self.worked.total, now=now)]

    def take(self, message: _Message, receipt: str, *, now: datetime, until: datetime) -> None:
        if message.receipt is not None:
            self.by_receipt.pop(message.receipt, None)
        message.receipt, message.taken_at = receipt, now
        message.receives += 1
        message.group.in_flight += 1
        self.in_flight += 1
        self.by_receipt[receipt] = message
        self.hide(message, until=until)

    def hide(self, message: _Message, *, until: datetime) -> None:
        message.visible_at = until
        heapq.heappush(self.hidden, (until, message))

    def delete(self, message: _Message, *, now: datetime) -> None:
        if message.taken_at is not None:
            self._land(message, now=now)
        else:
            message.group.ready.remove(message)
            heapq.heapify(message.group.ready)
        if message.receipt is not None:
            self.by_receipt.pop(message.receipt, None)
        self.count -= 1

    def _land(self, message: _Message, *, now: datetime) -> None:
        taken_at = message.taken_at or now
        message.taken_at = None
        message.group.in_flight -= 1
        self.in_flight -= 1
        self.worked.add(message.group.name, (now - taken_at).total_seconds(), now=now)


@dataclass(frozen=True, slots=True)
class Received:
    """One received message; ``receives`` counts this receive."""

    bell: Doorbell
    doorway: Doorway
    receives: int


class MemoryQueue:
    """Behaves like SQS as far as the port shows it, and can be received from, which the port cannot.

    ``fairness``: None for a queue whose messages come in the order in which they were sent, as without groups.
    """

    def __init__(
        self,
        *,
        urls: QueueUrls,
        clock: Clock,
        visibility_seconds: int = 30,
        max_receives: int = 20,
        fairness: Fairness | None = Fairness(),
    ) -> None:
        self._urls = urls
        self._clock = clock
        self._visibility = timedelta(seconds=visibility_seconds)
        self._max_receives = max_receives
        self._fairness = fairness
        self._queues: dict[str, _Messages] = defaultdict(_Messages)
        self._numbers = 0
        self._receipts = 0
        self._lock = RLock()

    def queue_url(self, pool: Pool, capability: CapabilityClass) -> str:
        return self._urls.require(pool, capability)

    def ring(self, queue_url: str, bell: Doorbell, *, group: str) -> None:
        with self._lock:
            self._numbers += 1
            self._of(queue_url).add(bell, group, self._numbers, now=self._clock.now())

    def hide(self, doorway: Doorway, *, seconds: int) -> bool:
        check_doorway(doorway, served=self._urls)
        if not 0 <= seconds <= _MOST_HIDDEN_SECONDS:
            raise ValueError(f"SQS refuses to hide a message for {seconds} seconds")
        with self._lock:
            queue, now = self._of(doorway.queue_url), self._clock.now()
            queue.settle(now=now)
            message = queue.by_receipt.get(doorway.receipt_handle)
            if message is None or message.taken_at is None:
                return False
            queue.hide(message, until=now + timedelta(seconds=seconds))
            return True

    def silence(self, doorway: Doorway) -> None:
        check_doorway(doorway, served=self._urls)
        with self._lock:
            queue, now = self._of(doorway.queue_url), self._clock.now()
            queue.settle(now=now)
            message = queue.by_receipt.get(doorway.receipt_handle)
            if message is not None:
                queue.delete(message, now=now)

    def receive(self, queue_url: str) -> Received | None:
        """The next visible message, hidden from now on for the queue's visibility time; None when nothing is visible."""
        with self._lock:
            queue, now = self._of(queue_url), self._clock.now()
            queue.settle(now=now)
            while (group := queue.next_group(self._fairness, now=now)) is not None:
                message = heapq.heappop(group.ready)
                if message.receives < self._max_receives:
                    return self._hand_out(queue_url, queue, message, now=now)
                self._bury(queue, message)
            return None

    def waiting(self, queue_url: str) -> int:
        with self._lock:
            queue = self._of(queue_url)
            return queue.count + len(queue.dead)

    def next_visible_at(self, queue_url: str) -> datetime | None:
        """From when on a message is visible, as things stand; None when there is none."""
        with self._lock:
            queue, now = self._of(queue_url), self._clock.now()
            queue.settle(now=now)
            return now if any(group.ready for group in queue.groups.values()) else queue.next_shown_at()

    def take_dead_letters(self, queue_url: str) -> list[Doorbell]:
        """The queue's dead letters, which are then gone."""
        with self._lock:
            queue = self._of(queue_url)
            dead, queue.dead = queue.dead, []
            return dead

    def _of(self, queue_url: str) -> _Messages:
        return self._queues[queue_url]

    def _hand_out(self, queue_url: str, queue: _Messages, message: _Message, *, now: datetime) -> Received:
        self._receipts += 1
        receipt = f"receipt-{self._receipts}"
        queue.take(message, receipt, now=now, until=now + self._visibility)
        return Received(message.bell, Doorway(queue_url=queue_url, receipt_handle=receipt), message.receives)

    def _bury(self, queue: _Messages, message: _Message) -> None:
        if message.receipt is not None:
            queue.by_receipt.pop(message.receipt, None)
        queue.count -= 1
        queue.dead.append(message.bell)
