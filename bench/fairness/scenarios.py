"""Fifty customers with ten units each, alone and beside one with a hundred thousand."""

from dataclasses import dataclass
from functools import partial
from random import Random

from bench.fairness.pool import MachinePool
from gpupool.dispatch.fairness import Fairness
from gpupool.settings import Settings

NOISY = "noisy"
# The flood is old when the small ones come.
_SMALL_FROM = 1_800.0
_DAY = 86_400.0
_WINDOW, _NO_WINDOW = Settings().release_window, 1_000_000


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
    ``window``: how many units of a job are released at a time, as the setting RELEASE_WINDOW."""

    name: str
    fairness: Fairness | None
    window: int = _NO_WINDOW


ALONE = Way("alone", Fairness(), _WINDOW)
FIRST_COME = Way("first come, first served", None)
DOCUMENTED = Way("fair queue, as documented", Fairness())
UNFORGIVING = Way("fair queue that forgives no flood", Fairness(forgiven_after=None))
# The way it is deployed.
WINDOWED = Way(f"as documented, {_WINDOW} of a job released at a time", Fairness(), _WINDOW)
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
    pool = MachinePool(seed, nodes=size.nodes, fairness=way.fairness, window=way.window)
    arrivals = Random(seed + 1_000_003)
    small = [f"small-{number:03d}" for number in range(size.small)]
    for customer_id in small:
        at = _SMALL_FROM + arrivals.uniform(0, crowd.within)
        pool.loop.after(at, "submit", customer_id, partial(pool.submit, f"job-{customer_id}", customer_id, size.units))
    if noisy:
        pool.submit(f"job-{NOISY}", NOISY, size.noisy)
    pool.play(claims_of=frozenset(small), count=size.wanted, stop_at=10 * _DAY)
    found = sorted(each.seconds for each in pool.waited if each.customer_id != NOISY)
    return found + [10 * _DAY] * (size.wanted - len(found))


def percentile(ordered: list[float], share: float) -> float:
    """The smallest value that at least ``share`` of all do not exceed."""
    return ordered[max(0, -(-int(share * 10_000) * len(ordered) // 10_000) - 1)]
