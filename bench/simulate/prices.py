"""Whether units cost what the price list says: written down once more, because a charge is no place for a typing error."""

from collections.abc import Iterable

from bench.simulate.loop import CLOCKS_DIFFER
from bench.simulate.violations import expect, expect_equal
from gpupool.jobs.model import Job
from gpupool.units.model import Unit, UnitStatus

# Credits for every started minute.
_PRICES = {"cpu": 1, "gpu-8g": 4, "gpu-16g": 6, "gpu-24g": 10, "gpu-80g": 40}


def check_prices(job: Job, units: Iterable[Unit]) -> None:
    mine = list(units)
    if job.units_total:
        expect_equal(job.quote.credits, sum(unit.credits_max for unit in mine), f"{job.id} was quoted what its units may cost")
        by_class = [(line.capability, line.units, line.credits) for line in job.quote.lines]
        expect_equal(by_class, _by_class(mine), f"{job.id} was quoted class by class")
    for unit in mine:
        most = _PRICES[unit.capability] * _started_minutes(unit.work.max_runtime_seconds)
        expect_equal(unit.credits_max, most, f"{unit.id} may cost its whole time, and no more")
        if unit.status is UnitStatus.COMPLETED:
            _check_charge(unit, most)


def _by_class(units: Iterable[Unit]) -> list[tuple[str, int, int]]:
    """Class, how many units and what they may cost, the smallest class first."""
    most = [(unit.capability, unit.credits_max) for unit in units]
    counted = ((name, [credits for each, credits in most if each == name]) for name in _PRICES)
    return [(name, len(credits), sum(credits)) for name, credits in counted if credits]


def _check_charge(unit: Unit, most: int) -> None:
    ran = unit.runtime_seconds
    if ran is None or unit.started_at is None or unit.finished_at is None:
        expect(False, "a completed unit says how long it ran", unit.id)
        return
    passed = unit.finished_at - unit.started_at + CLOCKS_DIFFER
    expect(0 <= ran <= passed.total_seconds(), "no longer than since its claim is charged", (ran, passed))
    charged = min(most, _PRICES[unit.capability] * _started_minutes(ran))
    expect_equal(unit.credits, charged, f"{unit.id} costs the minutes that it started")


def _started_minutes(seconds: float) -> int:
    whole, rest = divmod(seconds, 60)
    return max(1, int(whole) + (rest > 0))
