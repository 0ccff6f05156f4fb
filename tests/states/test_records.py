"""What follows from a row that was written, whatever it was before: who is rung, started, woken, paid and opened, and that
nothing else is."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product
from typing import Any

import pytest

from gpupool.dispatch.memory import MemoryQueue
from gpupool.errors import StaleWrite
from gpupool.events.decide import events_of_job, events_of_unit
from gpupool.events.memory import MemoryEventStore
from gpupool.events.service import Announcer
from gpupool.idempotency.memory import MemoryIdempotencyStore
from gpupool.jobs.model import Job, JobStatus, Quote, ReleaseWindow
from gpupool.ledger.model import EntryKind, Transfer
from gpupool.units.edges import Gate
from gpupool.units.memory import MemoryUnitStore
from gpupool.units.model import Failure, Pool, Unit, UnitStatus
from gpupool.wire.joining import Doorbell
from gpupool.wire.vocabulary import CapabilityClass
from gpupool.workflow.model import Outcome
from gpupool.workflow.outbox import Outbox
from tests.factories import NOW, a_grant, a_job, a_unit
from tests.states.tables import BROKEN, FAILED, FINAL, MANY_DEPENDENTS, MANY_NEEDS, OTHER, OWN, URLS, Tables, waiting

# A job that holds units back, and makes room for them once one is paid.
HOLDS_BACK = ReleaseWindow(low=0, reach=0, refill_at=1, whole_at=NOW, held=frozenset({"cpu"}))
PRICE = 3


@dataclass(frozen=True, slots=True)
class Seen:
    """What a record led to: bells by queue, executions that were started and woken, debits; and what the job notes."""

    bells: tuple[int, int] = (0, 0)
    started: tuple[str, ...] = ()
    resumed: tuple[tuple[str, Outcome], ...] = ()
    debits: tuple[Transfer, ...] = ()
    broken: Failure | None = None
    fan_outs: frozenset[int] = frozenset()


def outbox_over(tables: Tables) -> Outbox:
    announcer = Announcer(
        events=MemoryEventStore(tables.world),
        ledger=tables.ledger,
        idempotency=MemoryIdempotencyStore(tables.world, tables.clock),
    )
    return Outbox(
        jobs=tables.jobs,
        queue=tables.queue,
        executions=tables.executions,
        settlement=tables.settlement,
        announcer=announcer,
    )


def seen_in(tables: Tables) -> Seen:
    job, debits = tables.job, tuple(tables.entries(EntryKind.DEBIT))
    paid = (len(debits), sum(entry.amount for entry in debits), NOW if debits else None)
    assert (job.units_completed, job.credits_spent, job.progressed_at) == paid
    return Seen(
        bells=(tables.queue.waiting(OWN), tables.queue.waiting(OTHER)),
        started=tuple(tables.executions.started),
        resumed=tuple(tables.executions.resumed),
        debits=debits,
        broken=job.broken,
        fan_outs=job.fan_outs,
    )


def woken(job: Job, outcome: Outcome | None) -> tuple[tuple[str, Outcome], ...]:
    return ((job.task_token, outcome),) if job.task_token is not None and outcome is not None else ()


def debit_of(unit: Unit) -> Transfer:
    """Named by the unit alone, so that no attempt is charged beside another."""
    place = {"job_id": unit.job_id, "unit_id": unit.id, "note": unit.name}
    return Transfer(f"debit#{unit.id}", unit.customer_id, EntryKind.DEBIT, PRICE, NOW, **place)


def told(tables: Tables) -> set[str]:
    return {event.id for event in tables.world.events.get(tables.job_id, {}).values()}


def job_records() -> Iterator[tuple[Job | None, Job]]:
    for status, cancel, token in product(JobStatus, (None, NOW), (None, "token")):
        after = a_job(status=status, cancel_requested_at=cancel, task_token=token, units_total=2, started_at=NOW)
        yield None, after
        yield from ((replace(after, status=was, cancel_requested_at=at), after) for was in JobStatus for at in {None, cancel})


def test_a_new_job_is_started_and_a_cancel_wakes_it(each: Any) -> None:
    for before, after in each(job_records()):
        tables = Tables(job=after)
        tables.ledger.post(a_grant(amount=1_000))
        outbox_over(tables).job_written(before, after)
        is_new = before is None and after.status is JobStatus.QUEUED
        is_asked = after.cancel_requested_at is not None and (before is None or before.cancel_requested_at is None)
        wakes = is_asked and not is_new and after.status in (JobStatus.QUEUED, JobStatus.PLANNING, JobStatus.RUNNING)
        expected = Seen(
            started=(after.id,) if is_new else (),
            resumed=woken(after, Outcome.CANCELLED if wakes else None),
        )
        assert seen_in(tables) == expected, (before, after)
        assert told(tables) == {event.id for event in events_of_job(before, after)}


def unit_records() -> Iterator[tuple[Unit | None, Unit]]:
    rung = (None, NOW)
    for status, at, pool in product(UnitStatus, rung, (Pool.PUBLIC, Pool.CONTROLLED)):
        failure = FAILED if status in BROKEN else None
        finished = NOW if status in FINAL else None
        after = a_unit(
            status=status,
            rung_at=at,
            pool=pool,
            attempt=2,
            failure=failure,
            credits=PRICE,
            finished_at=finished,
            started_at=NOW,
        )
        yield None, after
        yield from ((replace(after, status=was, rung_at=when), after) for was, when in product(UnitStatus, rung))


def jobs() -> Iterator[Job]:
    """The unit of the records is the job's last one, or not; or makes room for one that is held back; or comes too late."""
    for token in (None, "token"):
        common: dict[str, Any] = {"task_token": token, "quote": Quote(30)}
        yield a_job(units_total=1, **common)
        yield a_job(units_total=2, **common)
        yield a_job(units_total=3, window=HOLDS_BACK, **common)
        yield a_job(units_total=3, window=replace(HOLDS_BACK, refill_at=2), **common)
        yield a_job(units_total=2, cancel_requested_at=NOW, **common)


def outcome_after(job: Job) -> Outcome | None:
    """Where the job stands once this unit, and no other, is paid."""
    if job.units_total == 1:
        return Outcome.COMPLETED
    if job.cancel_requested_at is not None:
        return Outcome.CANCELLED
    makes_room = job.window is not None and job.window.refill_at == 1
    return Outcome.TEND if makes_room else None


def expected_of(before: Unit | None, after: Unit, job: Job) -> Seen:
    if before is not None and (before.status, before.rung_at) == (after.status, after.rung_at):
        return Seen()
    if after.status is UnitStatus.QUEUED:
        return Seen(bells=(1, 0) if after.pool is Pool.PUBLIC else (0, 1))
    if after.status in BROKEN:
        ends = Outcome.CANCELLED if job.cancel_requested_at is not None else Outcome.FAILED
        return Seen(broken=FAILED, resumed=woken(job, ends))
    if after.status is UnitStatus.COMPLETED:
        return Seen(debits=(debit_of(after),), resumed=woken(job, outcome_after(job)))
    return Seen()


def test_a_unit_rings_is_paid_or_ends_its_job_when_its_state_says_so(each: Any) -> None:
    for (before, after), job in each(product(unit_records(), jobs())):
        tables = Tables([after], job=job)
        tables.hold()
        outbox_over(tables).unit_written(before, after)
        expected = expected_of(before, after, job)
        assert seen_in(tables) == expected, (before, after, job)
        assert told(tables) == {event.id for event in events_of_unit(before, after)}
        if any(expected.bells):
            heard = tables.queue.receive(OWN if after.pool is Pool.PUBLIC else OTHER)
            assert heard is not None
            assert (heard.bell.unit_id, heard.bell.job_id, heard.bell.attempt) == (after.id, job.id, 2)


def test_a_customers_bells_are_one_group() -> None:
    """One that floods the queue delays itself."""
    groups: list[str] = []

    class Listening(MemoryQueue):
        def ring(self, queue_url: str, bell: Doorbell, *, group: str) -> None:
            groups.append(group)

    tables = Tables()
    tables.queue = Listening(urls=URLS, clock=tables.clock)
    outbox_over(tables).unit_written(None, a_unit(customer_id="ada"))
    assert groups == ["ada"]


class Failing(MemoryUnitStore):
    """Whose edges cannot be written."""

    def open_edge(self, unit_id: str, *, need: int, now: datetime) -> Unit:
        raise ConnectionError


def test_a_debit_says_that_all_that_follows_was_done() -> None:
    """It is posted last. Of a record that is given up half-way, the debit is missing, which a round finds; else nobody would
    know that its dependents still wait."""
    done = a_unit(status=UnitStatus.COMPLETED, credits=PRICE, dependents=(1,))
    tables = Tables([done, waiting(1, frozenset({0}))], job=a_job(units_total=2))
    tables.hold()
    tables.units = Failing(tables.world)
    with pytest.raises(ConnectionError):
        outbox_over(tables).unit_written(None, done)
    assert seen_in(tables) == Seen()


def test_a_fan_out_is_noted_before_it_is_paid() -> None:
    done = a_unit(status=UnitStatus.COMPLETED, credits=PRICE, dependents=MANY_DEPENDENTS)
    tables = Tables([done], job=a_job(status=JobStatus.RUNNING, units_total=99, quote=Quote(0)))
    with pytest.raises(StaleWrite):
        outbox_over(tables).unit_written(None, done)
    assert seen_in(tables) == Seen(fan_outs=frozenset({0}))


def test_who_opens_units_of_another_class_alone_has_made_room_in_its_own(each: Any) -> None:
    for classes in each(product((CapabilityClass.CPU, CapabilityClass.GPU_8G), repeat=2)):
        done = a_unit(status=UnitStatus.COMPLETED, credits=PRICE, dependents=(1, 2))
        rest = [waiting(index, frozenset({0}), capability=each_class) for index, each_class in enumerate(classes, 1)]
        tables = Tables([done, *rest], job=a_job(units_total=99, window=HOLDS_BACK, task_token="token"))
        tables.hold()
        outbox_over(tables).unit_written(None, done)
        woken = CapabilityClass.CPU not in classes
        assert [outcome for _, outcome in seen_in(tables).resumed] == ([Outcome.TEND] if woken else [])


def dependents() -> Iterator[tuple[frozenset[int], ...]]:
    """What the units behind a completed one wait for: for it alone, for others too, or for nothing any more."""
    waits = (frozenset({0}), frozenset({0, 9}), frozenset({9}), frozenset())
    for count in range(4):
        yield from product(waits, repeat=count)
    yield (frozenset({0, 9}),) * 25
    yield (frozenset({0}), *[frozenset({0, 9})] * 24)
    yield (frozenset({0}),) * 26


def test_a_completed_unit_opens_what_waited_for_it(each: Any) -> None:
    """A unit that waits for nothing but its release is released by whoever comes by; who has released one has made no room, and
    need not wake the execution."""
    for waits in each(dependents()):
        indexes = tuple(range(1, len(waits) + 1))
        done = a_unit(status=UnitStatus.COMPLETED, credits=PRICE, dependents=indexes)
        rest = [waiting(index, open_needs) for index, open_needs in zip(indexes, waits, strict=True)]
        tables = Tables([done, *rest], job=a_job(units_total=99, window=HOLDS_BACK, task_token="token"))
        tables.hold()
        outbox_over(tables).unit_written(None, done)
        left = len(waits) > 25
        opened = [] if left else [index for index, open_needs in zip(indexes, waits, strict=True) if open_needs <= {0}]
        resumed = () if opened else (("token", Outcome.TEND),)
        fan_outs = frozenset({0}) if left else frozenset()
        assert seen_in(tables) == Seen(debits=(debit_of(done),), resumed=resumed, fan_outs=fan_outs), waits
        for unit, open_needs in zip(rest, waits, strict=True):
            row = tables.unit(unit.index)
            assert row.open_needs == (open_needs if left else open_needs - {0}), waits
            assert (row.status is UnitStatus.QUEUED) is (unit.index in opened), waits
            assert row.queued_at == (NOW if unit.index in opened else None), waits


def test_a_record_that_comes_again_changes_no_unit_and_pays_nothing(each: Any) -> None:
    """Also when its dependents have gone on meanwhile. They are no longer waiting, so that it makes no room either."""
    for status in each((UnitStatus.QUEUED, UnitStatus.RUNNING, *FINAL)):
        done = a_unit(status=UnitStatus.COMPLETED, credits=PRICE, dependents=(1,))
        tables = Tables([done, waiting(1, frozenset({0}))], job=a_job(units_total=99, window=HOLDS_BACK, task_token="token"))
        tables.hold()
        outbox_over(tables).unit_written(None, done)
        tables.units.replace(replace(tables.unit(1), status=status))
        outbox_over(tables).unit_written(None, done)
        assert tables.unit(1).status is status
        assert seen_in(tables) == Seen(debits=(debit_of(done),))


def gatherings() -> Iterator[tuple[tuple[frozenset[int], ...], tuple[frozenset[int], ...], int]]:
    """What two gathering units' gates still hold, what units beside them wait for, and which unit is completed: one of
    the first gate, or of the second."""
    for need in (0, 130):
        gates = product((frozenset({need}), frozenset({need, need + 1})), repeat=2)
        yield from ((left, waits, need) for left, waits in product(gates, ((), (frozenset({need, 9}),), (frozenset({need}),))))
        yield (frozenset({need}), frozenset({need})), (frozenset({need}),) * 26, need


def test_the_last_of_many_needs_opens_the_gate(each: Any) -> None:
    """Units that gather, and beside them dependents that do not: whichever is released, the execution sleeps on; unless more
    wait than one record may open, which are left to it."""
    for gates, waits, need in each(gatherings()):
        number = need // 128
        gathering = [waiting(210 + at, frozenset({number}), needs=MANY_NEEDS) for at in range(2)]
        rest = [waiting(index, open_needs) for index, open_needs in enumerate(waits, 131)]
        nearby = tuple(unit.index for unit in rest)
        done = a_unit(need, status=UnitStatus.COMPLETED, credits=PRICE, gathered_by=(210, 211), dependents=nearby)
        tables = Tables([done, *gathering, *rest], job=a_job(units_total=999, window=HOLDS_BACK, task_token="token"))
        tables.hold()
        tables.units.add_gates(tuple(Gate(unit.id, number, left) for unit, left in zip(gathering, gates, strict=True)))
        outbox_over(tables).unit_written(None, done)
        opened = [unit.index for unit, left in zip(gathering, gates, strict=True) if left == {need}]
        left_over = len(nearby) >= len(MANY_DEPENDENTS)
        opened += [] if left_over else [unit.index for unit in rest if unit.open_needs == {need}]
        queued = [unit.index for unit in tables.all_units() if unit.status is UnitStatus.QUEUED]
        assert queued == sorted(opened), (gates, waits)
        assert bool(seen_in(tables).resumed) is (left_over or not opened), (gates, waits)
