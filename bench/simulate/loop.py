"""Virtual time: whatever is due next happens next, in an order that follows from the seed alone."""

import heapq
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random

from bench.simulate.strands import Strands

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
# How far the clocks of two functions may differ: twice what one may be wrong, and a little more.
CLOCKS_DIFFER = timedelta(seconds=2)
_REMEMBERED = 60
# How far apart two events may lie and still run at once.
_AT_ONCE_SECONDS = 5.0
_MOST_AT_ONCE = 2
_LOOKED_AT = 6
# Whatever concerns a job begins with its id, which is that long.
_SAME = 36

Act = Callable[[], object]
Line = tuple[float, str, str]
# When it is due, its number, what it is, what it is about, and the act.
Event = tuple[float, int, str, str, Act]


class VirtualClock:
    """Moves only when the loop moves it; ``skew`` is how wrong the clock of the process that now runs is."""

    def __init__(self) -> None:
        self.moment = START
        self.skew = timedelta(0)

    def now(self) -> datetime:
        return self.moment + self.skew


class Trace:
    """What happened, line by line: the last lines, and all of them for whoever asks (``tell``)."""

    def __init__(self, tell: Callable[[str], None] | None = None) -> None:
        self._last: deque[Line] = deque(maxlen=_REMEMBERED)
        self._tell = tell

    def note(self, at: float, what: str, about: str) -> None:
        self._last.append((at, what, about))
        if self._tell is not None:
            self._tell(_spelled((at, what, about)))

    def last(self) -> list[str]:
        return [_spelled(line) for line in self._last]


def _spelled(line: Line) -> str:
    at, what, about = line
    return f"{at:14.3f}  {what:<22} {about}"


class Loop:
    def __init__(self, random: Random, trace: Trace) -> None:
        self.clock = VirtualClock()
        self.strands = Strands(random, self.clock)
        self.now = 0.0
        # The share of events that run at once with those after them.
        self.crowding = 0.0
        self.crowded = 0
        self._random = random
        self._trace = trace
        self._due: list[Event] = []
        self._count = 0

    def after(self, seconds: float, what: str, about: str, act: Act) -> None:
        self._count += 1
        heapq.heappush(self._due, (self.now + seconds, self._count, what, about, act))

    def note(self, what: str, about: str) -> None:
        self._trace.note(self.now, what, about)

    @property
    def next_at(self) -> float | None:
        return self._due[0][0] if self._due else None

    def step(self) -> None:
        """The next event; now and then with neighbours that touch the same, their calls to the ports mixed."""
        at, _, what, about, act = heapq.heappop(self._due)
        self._move_to(at)
        self._trace.note(at, what, about)
        crowd = self._neighbours(about[:_SAME]) if self.crowding and self._random.random() < self.crowding else []
        if crowd:
            self.crowded += 1
            self.strands.run([act, *crowd])
        else:
            act()

    def _neighbours(self, about: str) -> list[Act]:
        """Of what is due in a moment, what is about the same job, queue or customer. The first ones took that long: nothing
        ever runs before it is due."""
        latest = self.now + _AT_ONCE_SECONDS
        found: list[Event] = []
        others: list[Event] = []
        while self._due and self._due[0][0] <= latest and len(found) < _MOST_AT_ONCE and len(others) < _LOOKED_AT:
            event = heapq.heappop(self._due)
            (found if event[3].startswith(about) else others).append(event)
        for event in others:
            heapq.heappush(self._due, event)
        for at, _, what, also_about, _ in found:
            self._move_to(at)
            self._trace.note(at, f"+ {what}", also_about)
        return [event[-1] for event in found]

    def _move_to(self, at: float) -> None:
        if at > self.now:
            self.now = at
            self.clock.moment = START + timedelta(seconds=at)
