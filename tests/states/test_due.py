"""What a round does about one unit, whatever its row says and however long ago that was: units that are forgotten are found
again, and no other one is touched."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import product

from gpupool.units.decide import bell_is_stale, due
from gpupool.units.model import NodeFault, Unit, UnitStatus
from gpupool.wire.failures import Blame, FailureCode
from tests.factories import NOW, a_lease, a_unit

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
# Bells are rung again after an hour of silence, and given up after a day.
AGES = (None, timedelta(0), HOUR, HOUR + MINUTE, 24 * HOUR, 24 * HOUR + MINUTE, 48 * HOUR)
# Up to eight needs a unit keeps itself, more gates keep for it.
OWN, GATHERS = tuple(range(8)), tuple(range(9))


@dataclass(frozen=True, slots=True)
class State:
    """``progressed_at``: when the job was paid for a unit last. ``met``: needs of which a round knows."""

    unit: Unit
    progressed_at: datetime | None = None
    met: frozenset[int] = frozenset()


def ago(age: timedelta | None) -> datetime | None:
    return None if age is None else NOW - age


def states() -> Iterator[State]:
    for open_needs, met, needs in product(_some_of(3), _some_of(3), (OWN, GATHERS)):
        yield State(a_unit(9, status=UnitStatus.WAITING, needs=needs, open_needs=open_needs, queued_at=None), met=met)
    for queued, rung, progressed in product(AGES, AGES, AGES):
        yield State(a_unit(attempt=1, queued_at=ago(queued), rung_at=ago(rung)), ago(progressed))
    faults = ((), (NodeFault("node-1", 1, NOW - 3 * HOUR), NodeFault("node-2", 1, NOW)))
    for attempt, minutes, known, rung in product((1, 2, 3), (-1, 0, 10, 11, 600), faults, (None, NOW - 2 * HOUR)):
        lease = a_lease(node_id="node-1", expires_at=NOW - minutes * MINUTE)
        yield State(a_unit(status=UnitStatus.RUNNING, attempt=attempt, lease=lease, faults=known, rung_at=rung))
    for status in (UnitStatus.COMPLETED, UnitStatus.FAILED, UnitStatus.REJECTED, UnitStatus.CANCELLED):
        yield State(a_unit(status=status, queued_at=NOW - 48 * HOUR, finished_at=NOW - 47 * HOUR))


def _some_of(count: int) -> Iterator[frozenset[int]]:
    for taken in product((False, True), repeat=count):
        yield frozenset(index for index, is_in in enumerate(taken) if is_in)


def owed(state: State) -> Unit | None:
    return {UnitStatus.WAITING: owed_waiting, UnitStatus.QUEUED: owed_queued, UnitStatus.RUNNING: owed_running}.get(
        state.unit.status, lambda _: None
    )(state)


def owed_waiting(state: State) -> Unit | None:
    """It is released when nothing is left that it waits for. Of many needs the gates know, and no round."""
    unit = state.unit
    left = unit.open_needs if unit.needs == GATHERS else unit.open_needs - state.met
    if not left:
        return replace(unit, open_needs=left, status=UnitStatus.QUEUED, queued_at=NOW, rung_at=None)
    return None if left == unit.open_needs else replace(unit, open_needs=left)


def owed_queued(state: State) -> Unit | None:
    """A bell is rung again after an hour without a sign of life, and given up after a day in which nobody did any of the job's
    units. A row that does not say since when it waits is left alone."""
    unit, progressed = state.unit, state.progressed_at
    waits = [NOW - at for at in (unit.queued_at, progressed) if at is not None]
    if unit.queued_at is not None and min(waits) > 24 * HOUR:
        return replace(unit, status=UnitStatus.FAILED, finished_at=NOW)
    signs = [at for at in (unit.rung_at or unit.queued_at, progressed) if at is not None]
    silent = bool(signs) and all(NOW - at > HOUR for at in signs)
    return replace(unit, rung_at=NOW) if silent else None


def owed_running(state: State) -> Unit | None:
    """Ten minutes after a lease lapsed nobody is to take it over: the unit waits again, or has had all its attempts."""
    unit, lease = state.unit, state.unit.lease
    assert lease is not None
    if NOW - lease.expires_at <= 10 * MINUTE:
        return None
    if unit.attempt == 3:
        return replace(unit, status=UnitStatus.FAILED, lease=None, finished_at=NOW)
    before = sum(fault.failures for fault in unit.faults if fault.node_id == lease.node_id)
    others = tuple(fault for fault in unit.faults if fault.node_id != lease.node_id)
    faults = (*others, NodeFault(lease.node_id, before + 1, lease.expires_at))
    return replace(unit, status=UnitStatus.QUEUED, lease=None, queued_at=NOW, rung_at=None, faults=faults)


def test_a_round_does_about_a_unit_what_is_due_and_no_more(asked: Callable[[int], None]) -> None:
    count = 0
    for state in states():
        moved = due(state.unit, met=state.met, progressed_at=state.progressed_at, now=NOW)
        if moved is not None and moved.status is UnitStatus.FAILED:
            check_failure(state.unit, moved)
            moved = replace(moved, failure=None)
        assert moved == owed(state), state
        count += 1
    asked(count)


def check_failure(unit: Unit, moved: Unit) -> None:
    """Who is to blame: a machine for a lease, the platform for a bell that nobody answered."""
    failure = moved.failure
    assert failure is not None
    waited = unit.status is UnitStatus.QUEUED
    expected = (FailureCode.DISPATCH_FAILED, Blame.PLATFORM) if waited else (FailureCode.LEASE_EXPIRED, Blame.NODE)
    assert (failure.code, failure.blame, failure.unit_id, failure.attempt) == (*expected, unit.id, unit.attempt)


def test_only_a_queued_units_bell_can_have_rung_in_vain(asked: Callable[[int], None]) -> None:
    """Dead letters ask it of whatever unit their message speaks of."""
    count = 0
    for status, queued, progressed in product(UnitStatus, AGES, AGES):
        unit = a_unit(status=status, queued_at=ago(queued))
        waits = [NOW - at for at in (ago(queued), ago(progressed)) if at is not None]
        stale = status is UnitStatus.QUEUED and queued is not None and min(waits) > 24 * HOUR
        assert bell_is_stale(unit, progressed_at=ago(progressed), now=NOW) is stale, (status, queued, progressed)
        count += 1
    asked(count)
