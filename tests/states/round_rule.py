"""What a round over a small job leaves behind, computed from the rows before it: by what holds afterwards, where the core goes
unit by unit. What is due about one unit alone is the core's word, which test_due.py holds against its own rule."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gpupool.jobs.model import Job, ReleaseWindow
from gpupool.units.decide import due
from gpupool.units.model import Failure, Unit, UnitStatus
from gpupool.workflow.model import Outcome
from tests.states.tables import BROKEN, FEW_NEEDS, HOUR, MANY_DEPENDENTS, MINUTE

UNDER_WAY = (UnitStatus.QUEUED, UnitStatus.RUNNING, UnitStatus.VALIDATING)


@dataclass(frozen=True, slots=True)
class After:
    """``units``: every row as it is to be. ``outcome``: where the execution goes; TEND for another round, a thorough one."""

    units: tuple[Unit, ...]
    window: ReleaseWindow | None
    fan_outs: frozenset[int]
    broken: Failure | None
    outcome: Outcome


def round_over(job: Job, units: Sequence[Unit], *, released: int, now: datetime) -> After:
    """A round over fewer than fifty units that are not completed, which fit one page."""
    window, whole = job.window, _is_whole(job, now)
    first, behind, reach = (0, (), 0) if window is None or whole else (window.low, sorted(window.stragglers), window.reach)
    visited = [*(units[index] for index in behind), *units[first:]]
    rows, held = _rows_after(visited, job, released=released, now=now)
    seen = [rows[unit.index] for unit in visited if unit.index not in held]
    under_way = Counter(unit.capability for unit in seen if unit.status in UNDER_WAY)
    working = Counter(unit.capability for unit in seen if unit.status is UnitStatus.RUNNING)
    classes = frozenset(units[index].capability for index in held)
    high = min((index for index in held if index >= first), default=None)
    low = len(units) if high is None else high
    noted = ReleaseWindow(
        low=low,
        reach=max([reach, *(_reach(unit) for unit in seen)]),
        refill_at=job.units_completed
        + min((_a_quarter(under_way[each], working[each], released) for each in classes), default=0),
        whole_at=now if window is None or whole or (window.low == 0 and not window.held) else window.whole_at,
        high=high,
        held=frozenset(str(each) for each in classes),
        stragglers=frozenset(
            unit.index for unit in visited if unit.index < low and rows[unit.index].status is not UnitStatus.COMPLETED
        ),
        met=job.fan_outs,
    )
    broken = job.broken or next((unit.failure for unit in seen if unit.status in BROKEN), None)
    overdue = sum(_is_overdue(unit, now) for unit in seen)
    lost = overdue > job.units_completed or not under_way
    moved = sum(unit.status is UnitStatus.WAITING and rows[unit.index].status is UnitStatus.QUEUED for unit in visited)
    full = bool(classes) and 10 * moved >= 3 * sum(under_way.values())
    return After(
        units=tuple(rows.get(unit.index, unit) for unit in units),
        window=noted if window is not None or classes else None,
        fan_outs=job.fan_outs if classes else frozenset(),
        broken=broken,
        outcome=Outcome.TEND if lost and broken is None else Outcome.WATCH if full else Outcome.ADVANCE,
    )


def _is_whole(job: Job, now: datetime) -> bool:
    """Whether the round goes over everything: at first, for a new fan-out, and once an hour."""
    window = job.window
    return window is None or bool(job.fan_outs - window.met) or now - window.whole_at > HOUR


def _rows_after(visited: Sequence[Unit], job: Job, *, released: int, now: datetime) -> tuple[dict[int, Unit], list[int]]:
    """The rows that were visited, and which of them could be released and are held back: those that find ``released`` of
    their class, or half as many again as are running, under way before them."""
    rows: dict[int, Unit] = {}
    held: list[int] = []
    for unit in visited:
        before = [row for row in rows.values() if row.capability is unit.capability and row.index not in held]
        most = max(released, sum(row.status is UnitStatus.RUNNING for row in before) * 3 // 2)
        left = unit.open_needs if len(unit.needs) > len(FEW_NEEDS) else unit.open_needs - job.fan_outs
        is_ready = unit.status is UnitStatus.WAITING and not left
        if is_ready and sum(row.status in UNDER_WAY for row in before) >= most:
            held.append(unit.index)
            rows[unit.index] = unit
            continue
        moved = due(unit, met=job.fan_outs, progressed_at=job.progressed_at, now=now)
        rows[unit.index] = unit if moved is None else replace(moved, version=unit.version + 1)
    return rows, held


def _a_quarter(under_way: int, working: int, released: int) -> int:
    """How many are to be completed until the next ones are released: a quarter of as many as may be under way at a time."""
    most = max(released, working * 3 // 2)
    return max(1, under_way - (most - most // 4))


def _reach(unit: Unit) -> int:
    opens = unit.status is UnitStatus.COMPLETED and len(unit.dependents) < len(MANY_DEPENDENTS)
    return max(unit.dependents, default=0) if opens else 0


def _is_overdue(unit: Unit, now: datetime) -> bool:
    return unit.status is UnitStatus.COMPLETED and unit.finished_at is not None and now - unit.finished_at > 5 * MINUTE
