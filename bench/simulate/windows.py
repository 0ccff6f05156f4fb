"""Whether what a round notes of a wide job's window is so. All of it is a hint to the next round; a wrong one makes that look
at rows in vain, or wait for the hourly one. Asked where steps are alone, so that the rows are as the round left them."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from bench.simulate.violations import expect, expect_equal
from gpupool.jobs.model import Job, ReleaseWindow
from gpupool.units.edges import gathers
from gpupool.units.model import Unit, UnitStatus
from gpupool.workflow import decide

UNDER_WAY = (UnitStatus.QUEUED, UnitStatus.RUNNING, UnitStatus.VALIDATING)
_MOST_STRAGGLERS = 50
# A round over everything is asked for every quarter of an hour, and takes a moment.
_ASKED_FOR = timedelta(minutes=20)
# One that finds nothing under way is followed by another, which repeats what follows from completed units.
_AT_ONCE = timedelta(seconds=5)


class Windows:
    """``is_settled``: whether a unit has stayed as it is for longer than a round takes. ``released``: units at a time."""

    def __init__(self, units: Mapping[str, Mapping[str, Unit]], is_settled: Callable[[Unit], bool], *, released: int) -> None:
        self._units = units
        self._is_settled = is_settled
        self._released = released

    def check(self, job: Job, window: ReleaseWindow, before: ReleaseWindow | None, *, now: datetime) -> None:
        """``window``: as it is noted ``now``; ``before``: as it was."""
        units = [unit for _, unit in sorted(self._units[job.id].items())]
        settled = [unit for unit in units if self._is_settled(unit)]
        for unit in settled:
            _check_unit(unit, window)
        expect(window.met <= job.fan_outs, "a round opens the fan-outs that it knows of", (job.id, window))
        often = decide._WHOLE_AGAIN
        expect(now - window.whole_at <= often + _ASKED_FOR, "now and then a round goes over everything", (job.id, window))
        if before is not None and window.whole_at != before.whole_at and not window.met - before.met:
            since = window.whole_at - before.whole_at
            expect(since > often or since < _AT_ONCE, "a round over everything is rare", (job.id, before, window))
        if len(window.stragglers) < _MOST_STRAGGLERS:
            end = len(units) if window.high is None else window.high
            expect_equal(window.low, end, f"{job.id}: a round remembers single units before it stops")
        for name in window.held:
            waits = any(unit.capability == name and _is_ready(unit, window) for unit in units)
            expect(waits or len(settled) < len(units), "held back is what could be released", (job.id, name, window))
        self._check_refill(job, window, units, slack=len(units) - len(settled))
        reach = max((_reach(unit) for unit in units), default=0)
        expect(window.reach <= reach, "a round looks no further than completed units opened others", (job.id, window, reach))

    def _check_refill(self, job: Job, window: ReleaseWindow, units: Sequence[Unit], *, slack: int) -> None:
        """When a quarter of a class that holds some back is done, and before the last one is. A round that ends early has not
        seen those that were opened beyond."""
        seen = units if window.high is None else units[: window.high]
        least, most = (min(self._to_be_done(each, window), default=0) for each in (seen, units))
        left = window.refill_at - job.units_completed
        fits = min(least, most) - slack <= left <= max(least, most) + slack
        expect(fits, "more is released once a quarter is done", (job.id, window, least, most, job.units_completed))

    def _to_be_done(self, units: Sequence[Unit], window: ReleaseWindow) -> Iterator[int]:
        under_way = Counter(str(unit.capability) for unit in units if unit.status in UNDER_WAY)
        running = Counter(str(unit.capability) for unit in units if unit.status is UnitStatus.RUNNING)
        for name in window.held:
            most = max(self._released, running[name] * 3 // 2)
            yield max(1, under_way[name] - (most - most // 4))


def _check_unit(unit: Unit, window: ReleaseWindow) -> None:
    is_done = unit.status is UnitStatus.COMPLETED
    if unit.index < window.low:
        remembered = unit.index in window.stragglers
        expect(remembered is not is_done, "what a round passes over is done or remembered", (unit.id, unit.status, window))
        expect(window.reach >= _reach(unit), "a round looks as far as completed units opened others", (unit.id, window))
    if _is_ready(unit, window):
        place = unit.index in window.stragglers or (window.high is not None and unit.index >= window.high)
        expect(place and unit.capability in window.held, "what could be released and is not is held back", (unit.id, window))


def _is_ready(unit: Unit, window: ReleaseWindow) -> bool:
    left = unit.open_needs if gathers(unit.needs) else unit.open_needs - window.met
    return unit.status is UnitStatus.WAITING and not left


def _reach(unit: Unit) -> int:
    """The last unit that a completed one opens by itself."""
    opens = unit.status is UnitStatus.COMPLETED and len(unit.dependents) <= decide.FAN_OUT
    return max(unit.dependents, default=0) if opens else 0
