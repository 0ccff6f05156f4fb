"""A claim, in every state that its unit, its machine and its bell can be in: what is answered, who hears the bell next and
when, and what the row says then. The rules are stated once more here, in the order in which they are told to machines."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import product
from typing import Any

import pytest

from gpupool.units.claims import Claims
from gpupool.units.inputs import NEEDS_PER_PAGE
from gpupool.units.model import LeaseState, NodeFault, Pool, Unit, UnitStatus
from gpupool.wire.units import Doorway
from gpupool.wire.vocabulary import UnitRole
from tests.factories import NOW, a_lease, a_unit, an_output, some_work
from tests.states.tables import (
    BELL,
    CADENCE,
    FAILED,
    FINAL,
    FOREIGN,
    HEARD,
    ME,
    MINUTE,
    OTHER,
    OWN,
    SECOND,
    SOMEBODY,
    VISIBILITY_SECONDS,
    WORKER,
    Crossing,
    Tables,
    answer_of,
    faults_after_lapse,
    lapsed_for_good,
    mark,
)

TOKEN = "fresh"
GONE, LEASED, UNSUITABLE = "UNIT_GONE", "UNIT_LEASED", "UNIT_NOT_SUITABLE"
QUEUES, RECEIPTS = (OWN, OTHER, FOREIGN), (HEARD, "stale")
# The unit behind its needs, when it has more than a page of them.
LAST = NEEDS_PER_PAGE + 1


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

    @property
    def needs_pages(self) -> bool:
        return self.unit is not None and len(self.unit.needs) > NEEDS_PER_PAGE


@dataclass(frozen=True, slots=True)
class Expected:
    """``answer``: the lease's token, or the code of a refusal. ``heard_in``: seconds until others hear the bell, None when
    nobody does. ``unit``: the row."""

    answer: str
    heard_in: float | None
    unit: Unit | None


def rows() -> Iterator[Unit]:
    """Every unit that bells can speak of, by what its last lease and its failures say."""
    earlier: dict[str, Any] = {"failure": FAILED, "progress_fraction": 0.5, "progress_stage": "running", "metrics": {"a": 1.0}}
    for status in (UnitStatus.WAITING, *FINAL):
        yield a_unit(status=status, attempt=1)
    for attempt, known in product((0, 1, 2), faults()):
        yield a_unit(attempt=attempt, faults=known, **(earlier if attempt else {}))
    for attempt, known, lease in product((1, 2, 3), faults(), leases()):
        yield a_unit(status=UnitStatus.RUNNING, attempt=attempt, faults=known, lease=lease, started_at=NOW, **earlier)
    for attempt, most in ((1, 1), (1, 2), (3, 10), (9, 10), (10, 10)):
        lease = a_lease(node_id=SOMEBODY, expires_at=NOW - SECOND)
        yield a_unit(status=UnitStatus.RUNNING, attempt=attempt, max_attempts=most, lease=lease)
        yield a_unit(attempt=attempt, max_attempts=most)


def faults() -> Iterator[tuple[NodeFault, ...]]:
    yield ()
    yield from ((NodeFault(ME, failures, NOW - age * MINUTE),) for failures, age in product((0, 1, 2), (0, 1, 3, 5)))
    yield (NodeFault(SOMEBODY, 2, NOW),)
    yield (NodeFault(ME, 1, NOW - MINUTE), NodeFault(SOMEBODY, 1, NOW))


def leases() -> Iterator[LeaseState]:
    for ends, node, receipt in product((50, 0.5, 0, -1, -150, -700), (ME, SOMEBODY), (HEARD, "another")):
        bell = mark(State(None, receipt=receipt).doorway)
        yield a_lease(token="held", node_id=node, expires_at=NOW + ends * SECOND, bell=bell)


def states() -> Iterator[State]:
    for queue, receipt in product(QUEUES, RECEIPTS):
        yield State(None, queue, receipt)
        yield from (State(unit, queue, receipt) for unit in rows())
        yield State(a_unit(pool=Pool.CONTROLLED), queue, receipt)
    for unit, (vram, disk), receipt in product(rows(), ((8_000, 50_000), (8_001, 50_000), (8_000, 50_001)), RECEIPTS):
        yield State(replace(unit, work=some_work(required_vram_mb=vram, required_disk_mb=disk)), OWN, receipt)
    yield State(None, pages=False)
    for unit, needs, pages in product(rows(), (NEEDS_PER_PAGE, NEEDS_PER_PAGE + 1), (True, False)):
        if not unit.faults:
            yield State(replace(unit, id=a_unit(LAST).id, index=LAST, needs=tuple(range(needs))), pages=pages)


def expected(state: State) -> Expected:
    unit, untouched = state.unit, VISIBILITY_SECONDS

    def refused(code: str, heard_in: float | None) -> Expected:
        return Expected(code, heard_in if state.is_heard else untouched, unit)

    if state.queue == FOREIGN:
        return Expected("VALIDATION_FAILED", untouched, unit)
    if unit is None or unit.status is UnitStatus.WAITING or unit.status in FINAL:
        return refused(GONE, None)
    lease = unit.lease
    if lease is not None and lease.expires_at > NOW and (lease.node_id, lease.bell) == (ME, mark(state.doorway)):
        return Expected(lease.token, untouched, unit)
    own = OWN if unit.pool is Pool.PUBLIC else OTHER
    if state.queue != own or unit.work.required_vram_mb > 8_000 or unit.work.required_disk_mb > 50_000:
        return refused(UNSUITABLE, 5)
    if lease is not None and lease.expires_at > NOW:
        return refused(LEASED, 51 if lease.expires_at > NOW + SECOND else 2)
    if unit.attempt >= unit.max_attempts:
        return Expected(GONE, None, ended(unit)) if state.is_heard else Expected(LEASED, untouched, unit)
    if is_paused(unit):
        return refused(UNSUITABLE, 15)
    if state.needs_pages and not state.pages:
        return refused(UNSUITABLE, 5)
    return Expected(TOKEN, 61, leased(unit, state)) if state.is_heard else Expected(LEASED, untouched, unit)


def is_paused(unit: Unit) -> bool:
    """Two minutes for each time that this machine failed the unit, others come first."""
    known = faults_after_lapse(unit)
    return any(fault.node_id == ME and NOW - fault.at < 2 * fault.failures * MINUTE for fault in known)


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
        faults=faults_after_lapse(unit),
        version=unit.version + 1,
    )


def ended(unit: Unit) -> Unit:
    failed = replace(unit, status=UnitStatus.FAILED, lease=None, finished_at=NOW, version=unit.version + 1)
    return replace(failed, failure=lapsed_for_good(unit))


def claims_over(tables: Tables, units: Any = None) -> Claims:
    return Claims(
        units=units or tables.units,
        inputs=tables.inputs,
        queue=tables.queue,
        random_hex=lambda size: TOKEN if size == 16 else "",
        clock=tables.clock,
        cadence=CADENCE,
    )


def tables_in(state: State) -> tuple[Tables, str]:
    """The tables in that state, every need of the unit with its row; and the unit's id."""
    unit = state.unit
    needs = [a_unit(index, status=UnitStatus.COMPLETED) for index in unit.needs] if unit is not None else []
    tables = Tables([unit, *needs] if unit is not None else [])
    unit_id = unit.id if unit is not None else a_unit().id
    tables.ring(unit_id, at=state.queue)
    return tables, unit_id


def test_every_claim_is_answered_as_its_unit_asks(each: Any) -> None:
    for state in each(states()):
        tables, unit_id = tables_in(state)
        pages = {} if state.pages else {"pages": False}
        answer = answer_of(partial(claims_over(tables).claim, WORKER, unit_id, state.doorway, **pages))
        row = tables.units.get(unit_id)
        if not isinstance(answer, str):
            assert row is not None
            assert row.lease is not None
            assert (answer.attempt, answer.lease_expires_at) == (row.attempt, row.lease.expires_at), state
            assert answer.more_needs == (str(NEEDS_PER_PAGE) if state.needs_pages else None), state
            answer = answer.lease_token
        assert Expected(answer, tables.seconds_until_heard(state.queue), row) == expected(state), state


def test_a_unit_that_compares_its_needs_gets_all_of_them_bare_unless_the_agent_reads_no_pages(each: Any) -> None:
    for role, pages in each(product(UnitRole, (True, False))):
        unit = a_unit(3, needs=(0, 1, 2), work=some_work(role=role))
        tables, unit_id = tables_in(State(unit))
        for index in unit.needs:
            need = tables.unit(index)
            tables.units.replace(replace(need, attempt=1, outputs=(an_output(),)))
        grant = claims_over(tables).claim(WORKER, unit_id, BELL, pages=pages)
        bare = role is UnitRole.SELECT and pages
        assert [len(need.outputs) for need in grant.needs] == [0 if bare else 1] * 3


def test_a_claim_that_cannot_be_told_its_needs_changes_nothing() -> None:
    """An attempt that nobody is told of would be lost for a lease's length."""
    unit = a_unit(3, needs=(0,))
    tables = Tables([unit])
    tables.ring(unit.id)
    with pytest.raises(LookupError):
        claims_over(tables).claim(WORKER, unit.id, BELL)
    assert (tables.unit(3), tables.seconds_until_heard(OWN)) == (unit, VISIBILITY_SECONDS)


def test_a_machine_that_declines_is_heard_at_once_and_at_its_own_queues_only(each: Any) -> None:
    for queue in each(QUEUES):
        tables, _ = tables_in(State(a_unit(), queue))
        answer = answer_of(partial(claims_over(tables).decline, WORKER, State(None, queue).doorway))
        refused = ("VALIDATION_FAILED", VISIBILITY_SECONDS)
        assert (answer, tables.seconds_until_heard(queue)) == (refused if queue == FOREIGN else (None, 0))


def test_a_claim_that_meets_another_write_is_decided_again(each: Any) -> None:
    """On the row as it is by then: somebody else's, or cancelled."""
    claimable = [unit for unit in rows() if expected(State(unit)).unit != unit]
    for unit, taken in each(product(claimable, (True, False))):
        tables, unit_id = tables_in(State(unit))
        lease = a_lease(node_id=SOMEBODY, expires_at=NOW + MINUTE)
        theirs = replace(unit, status=UnitStatus.RUNNING, attempt=1, lease=lease)
        theirs = theirs if taken else replace(unit, status=UnitStatus.CANCELLED, lease=None, finished_at=NOW)
        crossing = Crossing(tables.units, partial(tables.units.replace, theirs))
        answer = answer_of(partial(claims_over(tables, crossing).claim, WORKER, unit_id, BELL))
        assert (answer, tables.seconds_until_heard(OWN)) == ((LEASED, 61) if taken else (GONE, None)), unit
        assert tables.units.get(unit_id) == replace(theirs, version=unit.version + 1)
