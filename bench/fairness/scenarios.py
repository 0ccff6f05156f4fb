"""Fifty customers with ten units each, alone and beside one with a hundred thousand."""

from dataclasses import dataclass
from functools import partial
from random import Random

from bench.fairness.pool import MachinePool
from gpupool.dispatch.fairness import Fairness

NOISY = "noisy"
_JOB = "job-noisy"
# Records that a stream's function rings for in a second, for a customer whose units are all ready at once.
_RELEASED_PER_SECOND = 400
# The flood is old when the small ones come.
_SMALL_FROM = 1_800.0
_DAY = 86_400.0


@dataclass(frozen=True)
class Crowd:
    """``within``: seconds in which all small customers submit. With 0 they meet: more work at once than there are machines."""

    name: str
    within: float


MEETING = Crowd("all at once", 0.0)
SPREAD = Crowd("over three hours", 10_800.0)
CROWDS = (MEETING, SPREAD)


@dataclass(frozen=True)
class Way:
    """How the flood meets the others. ``fairness``: how the queue orders its messages, None for the order of sending.
    ``window``: how many of its units are released and not completed at any time; None releases all that are ready."""

    name: str
    fairness: Fairness | None
    window: int | None = None


ALONE = Way("alone", Fairness())
FIRST_COME = Way("first come, first served", None)
DOCUMENTED = Way("fair queue, as documented", Fairness())
UNFORGIVING = Way("fair queue that forgives no flood", Fairness(forgiven_after=None))
# What a job could do for the others: nothing releases units this way yet.
WINDOWED = Way("as documented, 300 of the flood released at once", Fairness(), window=300)
WAYS = (FIRST_COME, DOCUMENTED, UNFORGIVING, WINDOWED)


@dataclass(frozen=True)
class Size:
    nodes: int = 200
    small: int = 50
    units: int = 10
    noisy: int = 100_000

    @property
    def wanted(self) -> int:
        return self.small * self.units


def waits(seed: int, crowd: Crowd, size: Size, way: Way, *, noisy: bool) -> list[float]:
    """How long each unit of the small customers waited, sorted. Those still waiting after ten days count as ten days."""
    pool = MachinePool(seed, nodes=size.nodes, fairness=way.fairness)
    arrivals = Random(seed + 1_000_003)
    small = [f"small-{number:03d}" for number in range(size.small)]
    for customer_id in small:
        at = _SMALL_FROM + arrivals.uniform(0, crowd.within)
        pool.loop.after(at, "submit", customer_id, partial(pool.release, f"job-{customer_id}", customer_id, range(size.units)))
    if noisy:
        _flood(pool, size.noisy, way.window)
    pool.play(claims_of=frozenset(small), count=size.wanted, stop_at=10 * _DAY)
    found = sorted(each.seconds for each in pool.waited if each.customer_id != NOISY)
    return found + [10 * _DAY] * (size.wanted - len(found))


def _flood(pool: MachinePool, units: int, window: int | None) -> None:
    at_first = units if window is None else min(units, window)
    for start in range(0, at_first, _RELEASED_PER_SECOND):
        numbers = range(start, min(start + _RELEASED_PER_SECOND, at_first))
        pool.loop.after(start / _RELEASED_PER_SECOND, "submit", NOISY, partial(pool.release, _JOB, NOISY, numbers))
    rest = iter(range(at_first, units))

    def release_next(job_id: str) -> None:
        number = next(rest, None) if job_id == _JOB else None
        if number is not None:
            pool.release(_JOB, NOISY, range(number, number + 1))

    pool.reported = release_next


def percentile(ordered: list[float], share: float) -> float:
    """The smallest value that at least ``share`` of all do not exceed."""
    return ordered[max(0, -(-int(share * 10_000) * len(ordered) // 10_000) - 1)]
