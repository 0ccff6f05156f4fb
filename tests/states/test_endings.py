"""The end of a job, from every state that its units and its books can be in, step by step and with every step twice: all that
was completed is paid once, the rest of the hold comes back once, and the job says what it ended of."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product

import pytest

from gpupool.errors import StaleWrite
from gpupool.jobs.model import Job, JobStatus, Quote
from gpupool.ledger.model import EntryKind
from gpupool.units.model import Failure, Unit, UnitStatus
from gpupool.wire.failures import Blame, FailureCode
from gpupool.workflow.closing import Closing
from gpupool.workflow.model import Outcome, Step
from tests.factories import NOW, a_job, a_lease, a_unit
from tests.states.rooms import Tables

SECOND = timedelta(seconds=1)
PRICE, QUOTE = 7, 30
HEARD_OF = Failure(FailureCode.OUT_OF_MEMORY, Blame.USER, "heard of first")
STATUSES = {
    Outcome.COMPLETED: JobStatus.COMPLETED,
    Outcome.FAILED: JobStatus.FAILED,
    Outcome.CANCELLED: JobStatus.CANCELLED,
}
# What a unit may be; "unpaid" and "paid" are completed, "early" and "late" have failed then.
KINDS = ("waiting", "queued", "running", "paid", "unpaid", "early", "late", "cancelled")


@dataclass(frozen=True, slots=True)
class State:
    kinds: tuple[str, ...]
    outcome: Outcome = Outcome.FAILED
    broken: Failure | None = None
    planned: bool = True
    twice: bool = False

    def units(self) -> tuple[Unit, ...]:
        return tuple(a_unit_of(kind, index) for index, kind in enumerate(self.kinds))

    def job(self) -> Job:
        return a_job(
            status=JobStatus.RUNNING if self.planned else JobStatus.PLANNING,
            units_total=len(self.kinds),
            quote=Quote(QUOTE),
            broken=self.broken,
            task_token="token",
        )


def failure_at(index: int) -> Failure:
    return Failure(FailureCode.SCRIPT_FAILED, Blame.USER, f"unit {index}", unit_id=a_unit(index).id)


def a_unit_of(kind: str, index: int) -> Unit:
    if kind in ("waiting", "queued", "running", "cancelled"):
        lease = a_lease(expires_at=NOW + SECOND) if kind == "running" else None
        return a_unit(index, status=UnitStatus(kind), lease=lease, attempt=int(kind == "running"))
    if kind in ("paid", "unpaid"):
        return a_unit(index, status=UnitStatus.COMPLETED, credits=PRICE, finished_at=NOW)
    finished = NOW - (60 if kind == "early" else 1) * SECOND
    return a_unit(index, status=UnitStatus.FAILED, failure=failure_at(index), finished_at=finished)


def states() -> Iterator[State]:
    for kinds in product(KINDS, repeat=3):
        for outcome, broken, twice in product(STATUSES, (None, HEARD_OF), (False, True)):
            if outcome is not Outcome.COMPLETED or set(kinds) == {"paid"}:
                yield State(kinds, outcome, broken, twice=twice)
    yield State((), planned=False)
    yield State((), Outcome.CANCELLED, planned=False)


def in_state(state: State) -> tuple[Tables, Closing]:
    tables = Tables(state.units(), job=state.job())
    tables.hold()
    for unit, kind in zip(state.units(), state.kinds, strict=True):
        if kind == "paid":
            tables.settlement.settle(unit)
    return tables, closing_of(tables)


def closing_of(tables: Tables) -> Closing:
    return Closing(
        jobs=tables.jobs,
        units=tables.units,
        transitions=tables.transitions,
        settlement=tables.settlement,
        clock=tables.clock,
    )


def job_of(tables: Tables) -> Job:
    return tables.world.jobs[tables.job.id]


def close(tables: Tables, closing: Closing, outcome: Outcome, *, twice: bool = False, most: int = 8) -> list[Step]:
    """Every step to the last; with ``twice`` the execution hears of none the first time."""
    steps = [Step(outcome)]
    while steps[-1].outcome is not Outcome.CLOSED:
        assert len(steps) < most, "it never comes to an end"
        for _ in range(1 + twice):
            job = job_of(tables)
            step = closing.go_on(job, outcome, steps[-1]) if job.is_live else Step(Outcome.CLOSED)
        steps.append(step)
    return steps


def failure_of(state: State) -> Failure | None:
    """That of the unit which failed first, else what was noted, else the platform's."""
    failed = [(-(kind == "early"), index) for index, kind in enumerate(state.kinds) if kind in ("early", "late")]
    if failed:
        return failure_at(min(failed)[1])
    return state.broken


def check_ended(state: State, tables: Tables) -> None:
    job, paid = job_of(tables), sum(kind in ("paid", "unpaid") for kind in state.kinds)
    all_paid = bool(state.kinds) and set(state.kinds) == {"paid"}
    status = JobStatus.COMPLETED if all_paid else STATUSES[state.outcome]
    assert (job.status, job.finished_at, job.task_token) == (status, NOW, None)
    assert (job.units_completed, job.credits_spent) == (paid, paid * PRICE)
    assert job.closing is not all_paid
    check_failure(state, job)
    assert [entry.amount for entry in tables.entries(EntryKind.DEBIT)] == [PRICE] * paid
    assert [entry.amount for entry in tables.entries(EntryKind.RELEASE)] == [QUOTE - paid * PRICE]
    for unit, kind in zip(state.units(), state.kinds, strict=True):
        row = tables.units.get(unit.id)
        ended = replace(unit, status=UnitStatus.CANCELLED, lease=None, finished_at=NOW, version=2)
        assert row == (ended if kind in ("waiting", "queued", "running") else unit)


def check_failure(state: State, job: Job) -> None:
    expected = failure_of(state)
    if job.status is not JobStatus.FAILED:
        assert job.failure is None
    elif expected is not None:
        assert job.failure == expected
    else:
        assert job.failure is not None
        code = FailureCode.INTERNAL if state.planned else FailureCode.PLANNING_FAILED
        assert (job.failure.code, job.failure.blame) == (code, Blame.PLATFORM)


def test_every_job_ends_paid_returned_and_told(asked: Callable[[int], None]) -> None:
    count = 0
    for state in states():
        tables, closing = in_state(state)
        close(tables, closing, state.outcome, twice=state.twice)
        check_ended(state, tables)
        count += 1
    asked(count)


def test_a_hold_that_is_spent_to_the_last_credit_leaves_nothing_to_return() -> None:
    state = State(("paid", "unpaid", "early"))
    tables = Tables(state.units(), job=replace(state.job(), quote=Quote(2 * PRICE)))
    tables.hold()
    close(tables, closing_of(tables), Outcome.FAILED)
    assert tables.entries(EntryKind.RELEASE) == []


@pytest.mark.parametrize(("kind", "per_step"), [("waiting", [300, 600, 650]), ("unpaid", [0, 300, 600, 650])])
def test_a_step_ends_or_pays_three_hundred_units(kind: str, per_step: list[int]) -> None:
    """What was not paid is found by a first walk, which writes nothing, and paid by a second one."""
    state = State((kind,) * 650)
    tables = Tables(state.units(), job=replace(state.job(), quote=Quote(650 * PRICE), units_total=651))
    tables.hold()
    closing, step, ended = closing_of(tables), Step(Outcome.FAILED), []
    while step.outcome is not Outcome.CLOSED:
        step = closing.go_on(job_of(tables), Outcome.FAILED, step)
        cancelled = sum(unit.status is UnitStatus.CANCELLED for unit in tables.units.all_of(tables.job.id))
        ended.append(cancelled + len(tables.entries(EntryKind.DEBIT)))
    assert ended == per_step


def test_books_that_do_not_add_up_do_not_keep_a_job_from_its_end() -> None:
    tables, closing = in_state(State(("paid", "early")))
    tables.world.jobs[tables.job.id] = replace(job_of(tables), units_completed=0)
    close(tables, closing, Outcome.FAILED)
    assert job_of(tables).status is JobStatus.FAILED


def test_who_read_the_job_before_its_last_debit_does_not_return_what_that_took() -> None:
    tables, closing = in_state(State(("paid", "paid")))
    stale = replace(job_of(tables), credits_spent=PRICE)
    with pytest.raises(StaleWrite):
        closing.go_on(stale, Outcome.COMPLETED, Step(Outcome.COMPLETED))
    assert job_of(tables).is_live
    assert tables.entries(EntryKind.RELEASE) == []


def test_who_finds_the_job_ended_meanwhile_is_done() -> None:
    tables, closing = in_state(State(("paid", "paid")))
    before = job_of(tables)
    close(tables, closing, Outcome.COMPLETED)
    ended, entries = job_of(tables), tables.entries(EntryKind.RELEASE)
    assert closing.go_on(before, Outcome.COMPLETED, Step(Outcome.COMPLETED)).outcome is Outcome.CLOSED
    assert (job_of(tables), tables.entries(EntryKind.RELEASE)) == (ended, entries)
