"""What follows from a row that was written, whatever it was before: who is rung, started, woken, paid and opened, and that
nothing else is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

from gpupool.events.memory import MemoryEventStore
from gpupool.events.service import Announcer
from gpupool.idempotency.memory import MemoryIdempotencyStore
from gpupool.jobs.model import Job, JobStatus, Quote, ReleaseWindow
from gpupool.ledger.model import EntryKind
from gpupool.units.edges import Gate
from gpupool.units.model import Failure, Pool, Unit, UnitStatus
from gpupool.wire.failures import Blame, FailureCode
from gpupool.workflow.model import Outcome
from gpupool.workflow.outbox import Outbox
from tests.factories import NOW, a_job, a_unit
from tests.states.rooms import OTHER, OWN, Tables

FAILURE = Failure(FailureCode.SCRIPT_FAILED, Blame.USER, "no")
BROKEN = (UnitStatus.FAILED, UnitStatus.REJECTED)
# A job that holds units back, and makes room for them once one is paid.
HOLDS_BACK = ReleaseWindow(low=0, reach=0, refill_at=1, whole_at=NOW, held=frozenset({"cpu"}))
GATHERS = tuple(range(9))


@dataclass(frozen=True, slots=True)
class Seen:
    """What a record led to. ``debits``: how many; ``resumed``: with what a waiting execution was woken."""

    bells: tuple[int, int] = (0, 0)
    started: bool = False
    resumed: tuple[Outcome, ...] = ()
    debits: int = 0
    broken: Failure | None = None
    fan_outs: frozenset[int] = frozenset()


def an_outbox(tables: Tables) -> Outbox:
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
    job = tables.world.jobs[tables.job.id]
    return Seen(
        bells=(tables.queue.waiting(OWN), tables.queue.waiting(OTHER)),
        started=tables.executions.started == {job.id: (job.id, 0)},
        resumed=tuple(outcome for token, outcome in tables.executions.resumed if token == "token"),
        debits=len(tables.entries(EntryKind.DEBIT)),
        broken=job.broken,
        fan_outs=job.fan_outs,
    )


def job_records() -> Iterator[tuple[Job | None, Job]]:
    for status, cancel, token in product(JobStatus, (None, NOW), (None, "token")):
        after = a_job(status=status, cancel_requested_at=cancel, task_token=token, units_total=2)
        yield None, after
        yield from ((replace(after, status=was, cancel_requested_at=at), after) for was in JobStatus for at in {None, cancel})


def test_a_new_job_is_started_and_a_cancel_wakes_it(asked: Callable[[int], None]) -> None:
    count = 0
    for before, after in job_records():
        tables = Tables(job=after)
        an_outbox(tables).job_written(before, after)
        is_new = before is None and after.status is JobStatus.QUEUED
        asked_now = after.cancel_requested_at is not None and (before is None or before.cancel_requested_at is None)
        woken = not is_new and asked_now and after.is_live and after.task_token is not None
        expected = Seen(started=is_new, resumed=(Outcome.CANCELLED,) if woken else ())
        assert seen_in(tables) == expected, (before, after)
        count += 1
    asked(count)


def unit_records() -> Iterator[tuple[Unit | None, Unit]]:
    rung = (None, NOW)
    for status, at, pool in product(UnitStatus, rung, (Pool.PUBLIC, Pool.CONTROLLED)):
        failure = FAILURE if status in BROKEN else None
        after = a_unit(status=status, rung_at=at, pool=pool, failure=failure, credits=3)
        yield None, after
        yield from ((replace(after, status=was, rung_at=when), after) for was, when in product(UnitStatus, rung))


def jobs() -> Iterator[Job]:
    """The unit of the records is the job's last one, or not; or makes room for one that is held back."""
    for token in (None, "token"):
        common = {"task_token": token, "quote": Quote(30)}
        yield a_job(units_total=1, **common)
        yield a_job(units_total=2, **common)
        yield a_job(units_total=3, window=HOLDS_BACK, **common)
        yield a_job(units_total=3, window=replace(HOLDS_BACK, refill_at=2), **common)


def owed(before: Unit | None, after: Unit, job: Job) -> Seen:
    if before is not None and (before.status, before.rung_at) == (after.status, after.rung_at):
        return Seen()
    if after.status is UnitStatus.QUEUED:
        return Seen(bells=(1, 0) if after.pool is Pool.PUBLIC else (0, 1))
    waits = job.task_token is not None
    if after.status in BROKEN:
        return Seen(broken=FAILURE, resumed=(Outcome.FAILED,) if waits else ())
    if after.status is not UnitStatus.COMPLETED:
        return Seen()
    makes_room = job.window is not None and job.window.refill_at == 1
    outcome = Outcome.COMPLETED if job.units_total == 1 else Outcome.TEND if makes_room else None
    return Seen(debits=1, resumed=(outcome,) if outcome and waits else ())


def test_a_unit_rings_is_paid_or_ends_its_job_when_its_state_says_so(asked: Callable[[int], None]) -> None:
    count = 0
    for (before, after), job in product(unit_records(), jobs()):
        tables = Tables([after], job=job)
        tables.hold()
        outbox = an_outbox(tables)
        outbox.unit_written(before, after)
        assert seen_in(tables) == owed(before, after, job), (before, after, job)
        if after.status is UnitStatus.QUEUED and (tables.queue.waiting(OWN) or tables.queue.waiting(OTHER)):
            heard = tables.queue.receive(OWN) or tables.queue.receive(OTHER)
            assert heard is not None
            assert (heard.bell.unit_id, heard.bell.job_id, heard.bell.attempt) == (after.id, job.id, after.attempt)
        count += 1
    asked(count)


def dependents() -> Iterator[tuple[frozenset[int], ...]]:
    """What the units behind a completed one wait for: for it alone, for others too, or for nothing any more."""
    waits = (frozenset({0}), frozenset({0, 9}), frozenset({9}), frozenset())
    for count in range(4):
        yield from product(waits, repeat=count)
    yield (frozenset({0, 9}),) * 25
    yield (frozenset({0}), *[frozenset({0, 9})] * 24)
    yield (frozenset({0}),) * 26


def test_a_completed_unit_opens_what_waited_for_it(asked: Callable[[int], None]) -> None:
    """Twice, as every record may come twice. A unit that waits for nothing but its release is released by whoever comes by;
    who has released one has made no room, and need not wake the execution."""
    count = 0
    for waits in dependents():
        indexes = tuple(range(1, len(waits) + 1))
        done = a_unit(status=UnitStatus.COMPLETED, credits=3, dependents=indexes)
        rest = [waiting(index, open_needs) for index, open_needs in zip(indexes, waits, strict=True)]
        tables = Tables([done, *rest], job=a_job(units_total=99, window=HOLDS_BACK, task_token="token", quote=Quote(30)))
        tables.hold()
        an_outbox(tables).unit_written(None, done)
        left = len(waits) > 25
        opened = [] if left else [index for index, open_needs in zip(indexes, waits, strict=True) if open_needs <= {0}]
        fan_outs = frozenset({0}) if left else frozenset()
        assert seen_in(tables) == Seen(debits=1, resumed=() if opened else (Outcome.TEND,), fan_outs=fan_outs), waits
        an_outbox(tables).unit_written(None, done)
        assert seen_in(tables).debits == 1
        for unit, open_needs in zip(rest, waits, strict=True):
            row = tables.units.get(unit.id)
            assert row is not None
            assert row.open_needs == (open_needs if left else open_needs - {0}), waits
            assert (row.status is UnitStatus.QUEUED) is (unit.index in opened), waits
            assert (row.queued_at == NOW) is (unit.index in opened), waits
        count += 1
    asked(count)


def waiting(index: int, open_needs: frozenset[int]) -> Unit:
    return a_unit(index, status=UnitStatus.WAITING, needs=tuple(sorted(open_needs)), open_needs=open_needs, queued_at=None)


def test_the_last_of_many_needs_opens_the_gate(asked: Callable[[int], None]) -> None:
    """Units that gather, and beside them dependents that do not: whichever is released, the execution sleeps on."""
    count = 0
    for gates, waits in product(
        product((frozenset({0}), frozenset({0, 1})), repeat=2), ((), (frozenset({0, 9}),), (frozenset({0}),))
    ):
        gathering = [a_unit(10 + at, status=UnitStatus.WAITING, needs=GATHERS, open_needs=frozenset({0})) for at in range(2)]
        rest = [waiting(index, open_needs) for index, open_needs in enumerate(waits, 1)]
        done = a_unit(
            status=UnitStatus.COMPLETED, credits=3, gathered_by=(10, 11), dependents=tuple(unit.index for unit in rest)
        )
        tables = Tables([done, *gathering, *rest], job=a_job(units_total=99, window=HOLDS_BACK, task_token="token"))
        tables.hold()
        tables.units.add_gates(tuple(Gate(unit.id, 0, left) for unit, left in zip(gathering, gates, strict=True)))
        an_outbox(tables).unit_written(None, done)
        opened = [unit.id for unit, left in zip(gathering, gates, strict=True) if left == {0}]
        opened += [unit.id for unit in rest if unit.open_needs == {0}]
        queued = [unit.id for unit in tables.units.all_of(tables.job.id) if unit.status is UnitStatus.QUEUED]
        assert sorted(queued) == sorted(opened)
        assert seen_in(tables).resumed == (() if opened else (Outcome.TEND,)), (gates, waits)
        count += 1
    asked(count)
