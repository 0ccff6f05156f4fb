"""What goes wrong, how often, and the proxies around the ports that make it so.

A seed draws which kinds of faults it has and how many: a run with all of them at once would hide what each does alone.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import timedelta
from random import Random
from typing import Any

from bench.simulate.loop import Loop
from gpupool.twins import MemoryPorts

# What services call; everything else of a port is looked up as it is.
_GUARDED = (
    *("uploads", "jobs", "units", "ledger", "nodes", "idempotency", "events", "transitions", "objects", "queue"),
    *("webhooks", "webhook_queue", "executions"),
)
_PURE = frozenset({"queue_url", "presign_get", "presign_put"})


class Throttled(Exception):
    """AWS refused the call; nothing was done."""


class AnswerLost(Exception):
    """AWS did what was asked, and the answer never came."""


class Crash(BaseException):
    """The process is gone: no handler of errors runs."""


# What a caller of a function sees of these: that it failed.
FAULTS = (Throttled, AnswerLost, Crash)


@dataclass
class Rates:
    """Shares of the occasions; 0 when the seed does without."""

    # of a function's calls to a port
    port_call: float = 0.0
    # of the events that run at once with their neighbours
    crowding: float = 0.0
    # of stream records
    record_again: float = 0.0
    record_slow: float = 0.0
    record_lost: float = 0.0
    # of answers to executions, and of steps
    wake_lost: float = 0.0
    step_again: float = 0.0
    stopped: float = 0.0
    # of bells
    bell_again: float = 0.0
    bell_slow: float = 0.0
    bell_ignored: float = 0.0
    # of attempts on a unit
    crash_silently: float = 0.0
    stall: float = 0.0
    fail: float = 0.0
    lie: float = 0.0
    report_again: float = 0.0
    drain: float = 0.0
    # of machines
    drifting: float = 0.0
    # of functions: their clocks
    skew: float = 0.0
    # of jobs
    cancel: float = 0.0
    submit_again: float = 0.0
    # of webhook attempts
    receiver: float = 0.0


_MOST = Rates(
    port_call=0.02,
    crowding=0.6,
    record_again=0.15,
    record_slow=0.15,
    record_lost=0.02,
    wake_lost=0.2,
    step_again=0.1,
    stopped=0.01,
    bell_again=0.1,
    bell_slow=0.1,
    bell_ignored=0.1,
    crash_silently=0.06,
    stall=0.08,
    fail=0.1,
    lie=0.15,
    report_again=0.15,
    drain=0.04,
    drifting=0.4,
    skew=0.3,
    cancel=0.15,
    submit_again=0.3,
    receiver=0.3,
)


# In every other seed one kind is so much more frequent: what takes it three times in a row happens there.
_FAVOURED = 5


def draw_rates(random: Random) -> Rates:
    """Each kind is absent in two seeds of five, else up to its most; one seed in twenty has no fault at all."""
    if random.random() < 0.05:
        return Rates()
    drawn = {each.name: 0.0 if random.random() < 0.4 else getattr(_MOST, each.name) * random.random() for each in fields(Rates)}
    favoured = random.choice([each.name for each in fields(Rates)])
    if random.random() < 0.5:
        drawn[favoured] = min(0.6, _FAVOURED * getattr(_MOST, favoured))
    return Rates(**drawn)


class Faults:
    """Decides where a fault strikes, counts them by kind, and runs functions so that their faults end there."""

    def __init__(self, random: Random, loop: Loop) -> None:
        self.rates = Rates()
        self.injected: Counter[str] = Counter()
        # Of functions to ports, by port and method; and the last of them.
        self.calls: Counter[str] = Counter()
        self.calling = ""
        self._random = random
        self._loop = loop
        self._left = 0

    def begin(self, *, calm: bool) -> None:
        """Until now the world was set up; from now on what may go wrong does; in a ``calm`` one only jobs do."""
        drawn = draw_rates(self._random)
        self.rates = Rates(cancel=_MOST.cancel, fail=_MOST.fail) if calm else drawn
        self._loop.crowding = self.rates.crowding
        self._reload()

    def heal(self) -> None:
        """From now on everybody behaves."""
        self.rates = Rates()
        self._loop.crowding = 0.0

    def happens(self, kind: str) -> bool:
        """Whether a fault of this kind strikes now; counted when it does."""
        share = getattr(self.rates, kind)
        if not share or self._random.random() >= share:
            return False
        self.injected[kind] += 1
        return True

    def run(self, act: Callable[[], Any]) -> tuple[bool, Any]:
        """Runs a function as AWS does, on a machine whose clock may be wrong: whether it ended well, and its answer."""
        clock = self._loop.clock
        if self.happens("skew"):
            clock.skew = timedelta(milliseconds=self._random.randint(-900, 900))
        try:
            return True, act()
        except FAULTS as fault:
            self._loop.note("  function failed", type(fault).__name__)
            return False, None
        finally:
            clock.skew = timedelta(0)

    def guard(self, ports: MemoryPorts) -> None:
        """Puts a proxy around every port that services call."""
        for name in _GUARDED:
            setattr(ports, name, _guarded(getattr(ports, name), name, self))

    def call(self, name: str, method: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        self.calls[name] += 1
        self.calling = name
        strands = self._loop.strands
        if strands.several:
            strands.hand_over()
        if self.rates.port_call:
            self._left -= 1
            if self._left <= 0:
                return self._strike(name, method, args, named)
        return method(*args, **named)

    def _strike(self, name: str, method: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        self._reload()
        how = self._random.choice(("throttled", "answer lost", "crash before", "crash after"))
        self.injected[how] += 1
        self._loop.note(f"  {how}", name)
        if how == "throttled":
            raise Throttled(name)
        if how == "crash before":
            raise Crash(name)
        method(*args, **named)
        raise AnswerLost(name) if how == "answer lost" else Crash(name)

    def _reload(self) -> None:
        """How many calls go well until the next one does not: one draw per fault instead of one per call."""
        rate = self.rates.port_call
        self._left = 1 + int(self._random.expovariate(rate)) if rate else 0


def _guarded(port: Any, name: str, faults: Faults) -> Any:
    """The port with every public method behind ``faults``; attributes of fakes stay reachable."""
    proxy = _Proxy(port)
    for each in dir(type(port)):
        method = getattr(port, each)
        if not each.startswith("_") and callable(method):
            setattr(proxy, each, method if each in _PURE else _through(faults, f"{name}.{each}", method))
    return proxy


class _Proxy:
    def __init__(self, port: Any) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)


def _through(faults: Faults, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **named: Any) -> Any:
        return faults.call(name, method, args, named)

    return call
