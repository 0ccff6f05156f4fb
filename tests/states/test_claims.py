"""A claim, in every state that its unit, its machine and its bell can be in: what is answered, who hears the bell next and
when, and what the row says then. The rules are stated once more here, in the order in which they are told to machines."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from itertools import product
from typing import Any

from gpupool.units.claims import Claims
from gpupool.units.inputs import NEEDS_PER_PAGE
from gpupool.units.model import LeaseState, NodeFault, Unit, UnitStatus
from gpupool.wire.failures import Blame, FailureCode
from gpupool.wire.units import Doorway
from tests.factories import NOW, a_lease, a_unit, some_work
from tests.states.rooms import CADENCE, FOREIGN, ME, OTHER, OWN, SOMEBODY, WORKER, Crossing, Tables, answer_of

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
TOKEN = "fresh"
GONE, LEASED, UNSUITABLE = "UNIT_GONE", "UNIT_LEASED", "UNIT_NOT_SUITABLE"
# Until when the bell that was heard is silent when nobody answers it.
UNANSWERED = 30
# The receipt that the first bell of a queue in memory is heard by.
HEARD = "receipt-1"
BELL = Doorway(queue_url=OWN, receipt_handle=HEARD)
FINAL = (UnitStatus.COMPLETED, UnitStatus.FAILED, UnitStatus.REJECTED, UnitStatus.CANCELLED)


@dataclass(frozen=True, slots=True)
class State:
    unit: Unit | None
    queue: str = OWN
    receipt: str = HEARD
    pages: bool = True

    @property
    def doorway(self) -> Doorway:
        return Doorway(queue_url=self.queue, receipt_handle=self.receipt)

    @property
    def is_heard(self) -> bool:
        return self.receipt == HEARD


@dataclass(frozen=True, slots=True)
class Owed:
    """``heard_in``: seconds until others hear the bell, None when nobody does. ``unit``: the row as it is to be."""

    answer: str
    heard_in: float | None
    unit: Unit | None


def rows() -> Iterator[Unit]:
    """Every unit that bells can speak of, by what its last lease and its failures say."""
    for status in (UnitStatus.WAITING, *FINAL):
        yield a_unit(status=status, attempt=1)
    faults = [
        (),
        *((NodeFault(ME, failures, NOW - age * MINUTE),) for failures, age in product((0, 1, 2), (0, 1, 3, 5))),
        (NodeFault(SOMEBODY, 2, NOW),),
        (NodeFault(ME, 1, NOW - MINUTE), NodeFault(SOMEBODY, 1, NOW)),
    ]
    for attempt, known in product((0, 1, 2), faults):
        yield a_unit(attempt=attempt, faults=known)
    for attempt, known, lease in product((1, 2, 3), faults, leases()):
        yield a_unit(status=UnitStatus.RUNNING, attempt=attempt, faults=known, lease=lease, started_at=NOW, metrics={"a": 1.0})


def leases() -> Iterator[LeaseState]:
    for ends, node, receipt in product((50, 0, -1, -150, -700), (ME, SOMEBODY), (HEARD, "another")):
        doorway = State(None, receipt=receipt).doorway
        yield a_lease(token="held", node_id=node, expires_at=NOW + ends * SECOND, bell=mark(doorway))


def mark(doorway: Doorway) -> str:
    """As rows have it since the first deployment: another one would refuse repeated claims while an update rolls out."""
    return sha256(f"{doorway.queue_url}\n{doorway.receipt_handle}".encode()).hexdigest()[:16]


def states() -> Iterator[State]:
    yield from (
        State(None, queue=queue, receipt=receipt) for queue, receipt in product((OWN, OTHER, FOREIGN), (HEARD, "stale"))
    )
    for unit, queue, receipt in product(rows(), (OWN, OTHER, FOREIGN), (HEARD, "stale")):
        yield State(unit, queue, receipt)
    sizes = ((8_000, 50_000), (8_001, 50_000), (8_000, 50_001))
    for unit, (vram, disk), receipt in product(rows(), sizes, (HEARD, "stale")):
        yield State(replace(unit, work=some_work(required_vram_mb=vram, required_disk_mb=disk)), OWN, receipt)
    yield State(None, pages=False)
    for unit, needs, pages in product(rows(), (NEEDS_PER_PAGE, NEEDS_PER_PAGE + 1), (True, False)):
        if not unit.faults:
            index = NEEDS_PER_PAGE + 1
            yield State(replace(unit, id=a_unit(index).id, index=index, needs=tuple(range(needs))), pages=pages)


def owed(state: State) -> Owed:
    unit, untouched = state.unit, UNANSWERED

    def refused(code: str, heard_in: float | None) -> Owed:
        return Owed(code, heard_in if state.is_heard else untouched, unit)

    if state.queue == FOREIGN:
        return Owed("VALIDATION_FAILED", untouched, unit)
    if unit is None or unit.status is UnitStatus.WAITING or unit.status in FINAL:
        return refused(GONE, None)
    lease = unit.lease
    ends = None if lease is None else (lease.expires_at - NOW).total_seconds()
    if lease is not None and ends > 0 and (lease.node_id, lease.bell) == (ME, mark(state.doorway)):
        return Owed(lease.token, untouched, unit)
    if state.queue != OWN or unit.work.required_vram_mb > 8_000 or unit.work.required_disk_mb > 50_000:
        return refused(UNSUITABLE, 5)
    if ends is not None and ends > 0:
        return refused(LEASED, ends + 1)
    if unit.attempt == 3:
        return Owed(GONE, None, ended(unit)) if state.is_heard else Owed(LEASED, untouched, unit)
    if is_paused(unit):
        return refused(UNSUITABLE, 15)
    if not state.pages and len(unit.needs) > NEEDS_PER_PAGE:
        return refused(UNSUITABLE, 5)
    return Owed(TOKEN, 61, leased(unit, state)) if state.is_heard else Owed(LEASED, untouched, unit)


def failures_of(unit: Unit) -> tuple[NodeFault, ...]:
    """Who failed the unit, whoever let its last lease lapse included: that one is the latest."""
    lease = unit.lease
    if lease is None:
        return unit.faults
    before = sum(fault.failures for fault in unit.faults if fault.node_id == lease.node_id)
    others = (fault for fault in unit.faults if fault.node_id != lease.node_id)
    return (*others, NodeFault(lease.node_id, before + 1, lease.expires_at))


def is_paused(unit: Unit) -> bool:
    """Two minutes for each time that this machine failed the unit, others come first."""
    return any(fault.node_id == ME and NOW - fault.at < 2 * fault.failures * MINUTE for fault in failures_of(unit))


def leased(unit: Unit, state: State) -> Unit:
    lease = LeaseState(
        token=TOKEN,
        node_id=ME,
        node_name=WORKER.node_name,
        expires_at=NOW + 60 * SECOND,
        deadline=NOW + timedelta(seconds=600, hours=2),
        bell=mark(state.doorway),
    )
    return replace(
        unit,
        status=UnitStatus.RUNNING,
        attempt=unit.attempt + 1,
        lease=lease,
        node_name=WORKER.node_name,
        started_at=NOW,
        progress_fraction=None,
        progress_stage="claimed",
        metrics={},
        faults=failures_of(unit),
        version=unit.version + 1,
    )


def ended(unit: Unit) -> Unit:
    return replace(unit, status=UnitStatus.FAILED, lease=None, finished_at=NOW, version=unit.version + 1)


def a_door(tables: Tables, units: Any = None) -> Claims:
    return Claims(
        units=units or tables.units,
        inputs=tables.inputs,
        queue=tables.queue,
        random_hex=lambda size: TOKEN if size == 16 else "",
        clock=tables.clock,
        cadence=CADENCE,
    )


def in_state(state: State) -> tuple[Tables, str]:
    """The tables in that state, every need of the unit with its row."""
    unit = state.unit
    needs = unit.needs if unit is not None else ()
    rest = [a_unit(index, status=UnitStatus.COMPLETED) for index in needs]
    tables = Tables([unit, *rest] if unit is not None else [])
    unit_id = unit.id if unit is not None else a_unit().id
    tables.ring(unit_id, at=state.queue)
    return tables, unit_id


def claim(state: State) -> Owed:
    tables, unit_id = in_state(state)
    pages = {} if state.pages else {"pages": False}
    answer = answer_of(lambda: a_door(tables).claim(WORKER, unit_id, state.doorway, **pages))
    row = tables.units.get(unit_id)
    said = answer if isinstance(answer, str) else answer.lease_token
    if not isinstance(answer, str):
        assert row is not None
        assert (answer.attempt, answer.lease_expires_at) == (row.attempt, row.lease and row.lease.expires_at), state
        assert (answer.more_needs is not None) is (len(row.needs) > NEEDS_PER_PAGE), state
    if row is not None and row.status is UnitStatus.FAILED and row.failure is not None:
        assert (row.failure.code, row.failure.blame) == (FailureCode.LEASE_EXPIRED, Blame.NODE), state
        assert (row.failure.unit_id, row.failure.attempt) == (row.id, row.attempt), state
        row = replace(row, failure=None)
    return Owed(said, tables.heard_in(state.queue), row)


def test_every_claim_is_answered_as_its_unit_asks(asked: Callable[[int], None]) -> None:
    count = 0
    for state in states():
        assert claim(state) == owed(state), state
        count += 1
    asked(count)


def test_a_machine_that_declines_is_heard_at_once_and_at_its_own_queues_only() -> None:
    for queue in (OWN, OTHER, FOREIGN):
        tables, _ = in_state(State(a_unit(), queue))
        answer = answer_of(lambda door=a_door(tables), at=queue: door.decline(WORKER, State(None, at).doorway))
        served = queue != FOREIGN
        assert (answer, tables.heard_in(queue)) == ((None, 0) if served else ("VALIDATION_FAILED", UNANSWERED))


def test_who_claims_between_another_claims_read_and_write_has_the_unit(asked: Callable[[int], None]) -> None:
    """The later one decides again, on the row as it is by then."""
    count = 0
    for unit in rows():
        state = State(unit)
        if owed(state).unit == unit:
            continue
        tables, unit_id = in_state(state)
        theirs = replace(unit, status=UnitStatus.RUNNING, attempt=1, lease=a_lease(node_id=SOMEBODY, expires_at=NOW + MINUTE))
        crossing = Crossing(tables.units, lambda to=tables.units, row=theirs: to.replace(row))
        answer = answer_of(lambda door=a_door(tables, crossing), at=unit_id: door.claim(WORKER, at, BELL))
        assert answer == LEASED, unit
        assert tables.units.get(unit_id) == replace(theirs, version=unit.version + 1)
        count += 1
    asked(count)
