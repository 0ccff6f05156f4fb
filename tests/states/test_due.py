"""What a round does about one unit, whatever its row says and however long ago that was: units that are forgotten are found
again, and no other one is touched."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any

from gpupool.units.decide import bell_is_stale, due
from gpupool.units.model import Failure, NodeFault, Unit, UnitStatus
from gpupool.wire.failures import Blame, FailureCode
from tests.factories import NOW, a_lease, a_unit
from tests.states.tables import (
    FAILED,
    FEW_NEEDS,
    FINAL,
    HOUR,
    MANY_NEEDS,
    ME,
    MINUTE,
    SOMEBODY,
    ago,
    faults_after_lapse,
    lapsed_for_good,
    waiting,
)

# Bells are rung again after an hour of silence, and given up after a day.
AGES = (None, timedelta(0), HOUR, HOUR + MINUTE, 24 * HOUR, 24 * HOUR + MINUTE, 48 * HOUR)


@dataclass(frozen=True, slots=True)
class State:
    """``progressed_at``: when the job was paid for a unit last. ``met``: needs of which a round knows."""

    unit: Unit
    progressed_at: datetime | None = None
    met: frozenset[int] = frozenset()


def states() -> Iterator[State]:
    for open_needs, met, needs in product(_some_of(3), _some_of(3), (FEW_NEEDS, MANY_NEEDS)):
        yield State(waiting(9, open_needs, needs=needs), met=met)
    for queued, rung, progressed in product(AGES, AGES, AGES):
        unit = a_unit(attempt=1, queued_at=ago(queued), rung_at=ago(rung), failure=FAILED)
        yield State(unit, ago(progressed))
    faults = ((), (NodeFault(ME, 1, NOW - 3 * HOUR), NodeFault(SOMEBODY, 1, NOW)))
    for attempt, most, minutes, known in product((1, 2, 3, 10), (1, 3, 10), (-1, 0, 10, 11, 600), faults):
        if attempt <= most:
            lease = a_lease(node_id=ME, expires_at=NOW - minutes * MINUTE)
            common = {"status": UnitStatus.RUNNING, "attempt": attempt, "max_attempts": most, "lease": lease, "faults": known}
            yield from (State(a_unit(rung_at=rung, **common)) for rung in (None, NOW - 2 * HOUR))
    for status in FINAL:
        yield State(a_unit(status=status, queued_at=NOW - 48 * HOUR, finished_at=NOW - 47 * HOUR))


def _some_of(count: int) -> Iterator[frozenset[int]]:
    for taken in product((False, True), repeat=count):
        yield frozenset(index for index, is_in in enumerate(taken) if is_in)


def expected(state: State) -> Unit | None:
    match state.unit.status:
        case UnitStatus.WAITING:
            return expected_of_waiting(state)
        case UnitStatus.QUEUED:
            return expected_of_queued(state)
        case UnitStatus.RUNNING:
            return expected_of_running(state.unit)
    return None


def expected_of_waiting(state: State) -> Unit | None:
    """It is released when nothing is left that it waits for. Of many needs the gates know, and no round."""
    unit = state.unit
    left = unit.open_needs if unit.needs == MANY_NEEDS else unit.open_needs - state.met
    if not left:
        return replace(unit, open_needs=left, status=UnitStatus.QUEUED, queued_at=NOW, rung_at=None)
    return None if left == unit.open_needs else replace(unit, open_needs=left)


def expected_of_queued(state: State) -> Unit | None:
    """A bell is rung again after an hour without a sign of life, and given up after a day in which nobody did any of the job's
    units. A row that does not say since when it waits is left alone."""
    unit, progressed = state.unit, state.progressed_at
    waits = [NOW - at for at in (unit.queued_at, progressed) if at is not None]
    if unit.queued_at is not None and min(waits) > 24 * HOUR:
        message = "No suitable node took the unit in time. Submit the job again, or ask for less VRAM or disk."
        failure = Failure(FailureCode.DISPATCH_FAILED, Blame.PLATFORM, message, unit_id=unit.id, attempt=1)
        return replace(unit, status=UnitStatus.FAILED, finished_at=NOW, failure=failure)
    signs = [at for at in (unit.rung_at or unit.queued_at, progressed) if at is not None]
    silent = bool(signs) and all(NOW - at > HOUR for at in signs)
    return replace(unit, rung_at=NOW) if silent else None


def expected_of_running(unit: Unit) -> Unit | None:
    """Ten minutes after a lease lapsed nobody is to take it over: the unit waits again, or has had all its attempts."""
    assert unit.lease is not None
    if NOW - unit.lease.expires_at <= 10 * MINUTE:
        return None
    if unit.attempt == unit.max_attempts:
        return replace(unit, status=UnitStatus.FAILED, lease=None, finished_at=NOW, failure=lapsed_for_good(unit))
    faults = faults_after_lapse(unit)
    return replace(unit, status=UnitStatus.QUEUED, lease=None, queued_at=NOW, rung_at=None, faults=faults)


def test_a_round_does_about_a_unit_what_is_due_and_no_more(each: Any) -> None:
    for state in each(states()):
        moved = due(state.unit, met=state.met, progressed_at=state.progressed_at, now=NOW)
        assert moved == expected(state), state


def test_only_a_queued_units_bell_can_have_rung_in_vain(each: Any) -> None:
    """Dead letters ask it of whatever unit their message speaks of."""
    for status, queued, progressed in each(product(UnitStatus, AGES, AGES)):
        unit = a_unit(status=status, queued_at=ago(queued))
        waits = [age for age in (queued, progressed) if age is not None]
        stale = status is UnitStatus.QUEUED and queued is not None and min(waits) > 24 * HOUR
        assert bell_is_stale(unit, progressed_at=ago(progressed), now=NOW) is stale, (status, queued, progressed)
