"""How SQS keeps one sender's flood from delaying the others, as its developer guide describes fair queues.

A group is noisy while it has a disproportionate share of what is being worked on. As long as quiet groups have messages, theirs
are handed out first; among noisy groups, the one with the fewest messages in flight comes first.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

SHARE = 0.10
LEAST_IN_FLIGHT = 30
# A group that sent nothing for this long counts as quiet again, whatever it still has waiting.
FORGIVEN_AFTER = timedelta(minutes=5)
# How far back "recent" processing time reaches. The guide does not say.
RECENT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class GroupState:
    """One group of a queue that has a visible message. ``oldest`` orders messages by when they were sent; ``seconds`` is the
    time that its messages were worked on lately."""

    name: str
    oldest: int
    in_flight: int
    last_sent: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class Fairness:
    """``forgiven_after``: None for a queue that never forgets a noisy group as long as it has a backlog."""

    forgiven_after: timedelta | None = FORGIVEN_AFTER

    def is_noisy(self, group: GroupState, *, in_flight: int, seconds: float, now: datetime) -> bool:
        """``in_flight`` and ``seconds`` are those of the whole queue."""
        if self.forgiven_after is not None and now - group.last_sent >= self.forgiven_after:
            return False
        many = group.in_flight >= LEAST_IN_FLIGHT and group.in_flight > SHARE * in_flight
        return many or group.seconds > SHARE * seconds

    def next_group(self, groups: Iterable[GroupState], *, in_flight: int, seconds: float, now: datetime) -> str:
        """Which of the groups, at least one, is served next."""
        ranked = []
        for group in groups:
            noisy = self.is_noisy(group, in_flight=in_flight, seconds=seconds, now=now)
            ranked.append((noisy, group.in_flight if noisy else 0, group.oldest, group.name))
        return min(ranked)[-1]


class WorkedTime:
    """Seconds for which messages were in flight, by group, of those whose time in flight ended within ``RECENT``."""

    def __init__(self) -> None:
        self._ended: deque[tuple[datetime, str, float]] = deque()
        self._by_group: dict[str, float] = {}
        self.total = 0.0

    def add(self, group: str, seconds: float, *, now: datetime) -> None:
        self._ended.append((now, group, seconds))
        self._move(group, seconds)

    def of(self, group: str) -> float:
        return self._by_group.get(group, 0.0)

    def forget(self, *, now: datetime) -> None:
        """Drops what is not recent any more."""
        while self._ended and now - self._ended[0][0] > RECENT:
            _, group, seconds = self._ended.popleft()
            self._move(group, -seconds)

    def _move(self, group: str, seconds: float) -> None:
        self.total += seconds
        self._by_group[group] = self._by_group.get(group, 0.0) + seconds
