"""The end of a job, from every state that its units and its books can be in, step by step and with every step twice: all that
was completed is paid once, the rest of the hold comes back once, and the job says what it ended of."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import pytest

from gpupool.errors import StaleWrite
from gpupool.jobs.model import Job, JobStatus, Quote
from gpupool.ledger.model import EntryKind, Transfer
from gpupool.units.model import Failure, Unit, UnitStatus
from gpupool.wire.failures import Blame, FailureCode
from gpupool.workflow.closing import Closing
from gpupool.workflow.model import Outcome, Step
from tests.factories import NOW, a_job, a_lease, a_unit
from tests.states.tables import MINUTE, SECOND, Crossing, Tables

PRICE, QUOTE = 7, 30
HEARD_OF = Failure(FailureCode.OUT_OF_MEMORY, Blame.USER, "heard of first")
STATUSES = {
    Outcome.COMPLETED: JobStatus.COMPLETED,
    Outcome.FAILED: JobStatus.FAILED,
    Outcome.CANCELLED: JobStatus.CANCELLED,
}
OPEN = ("waiting", "queued", "running", "validating")
# What a unit may be; "unpaid" and "paid" are completed, "early" and "late" have failed then, the latter by what it left.
KINDS = (*OPEN, "paid", "unpaid", "early", "late", "cancelled")


@dataclass(frozen=True, slots=True)
class State:
    """``job_is``: how far the job has come. ``twice``: of every step, the execution hears at its second try only."""

    kinds: tuple[str, ...]
    outcome: Outcome = Outcome.FAILED
    broken: Failure | None = None
    job_is: JobStatus = JobStatus.RUNNING
    twice: bool = False

    def units(self) -> tuple[Unit, ...]:
        return tuple(a_unit_of(kind, index) for index, kind in enumerate(self.kinds))

    def job(self, **changes: Any) -> Job:
        job = a_job(status=self.job_is, units_total=len(self.kinds), quote=Quote(QUOTE), broken=self.broken, task_token="token")
        return replace(job, **changes)


def a_unit_of(kind: str, index: int) -> Unit:
    if kind in OPEN or kind == "cancelled":
        lease = a_lease(expires_at=NOW + SECOND) if kind == "running" else None
        return a_unit(index, status=UnitStatus(kind), lease=lease, attempt=int(kind == "running"))
    if kind in ("paid", "unpaid"):
        return a_unit(index, status=UnitStatus.COMPLETED, credits=PRICE, finished_at=NOW)
    status, age = (UnitStatus.FAILED, MINUTE) if kind == "early" else (UnitStatus.REJECTED, SECOND)
    return a_unit(index, status=status, failure=failure_at(index), finished_at=NOW - age)


def failure_at(index: int) -> Failure:
    return Failure(FailureCode.SCRIPT_FAILED, Blame.USER, f"unit {index}", unit_id=a_unit(index).id)


def states() -> Iterator[State]:
    for kinds, outcome, broken, twice in product(product(KINDS, repeat=3), STATUSES, (None, HEARD_OF), (False, True)):
        if outcome is not Outcome.COMPLETED or set(kinds) == {"paid"}:
            yield State(kinds, outcome, broken, twice=twice)
    # A plan that is still being written, or of which nothing is.
    for kinds, outcome, status in product(
        ((), ("waiting", "queued")), (Outcome.FAILED, Outcome.CANCELLED), (JobStatus.QUEUED, JobStatus.PLANNING)
    ):
        yield State(kinds, outcome, job_is=status)


def tables_in(state: State, **changes: Any) -> tuple[Tables, Closing]:
    tables = Tables(state.units(), job=state.job(**changes))
    tables.hold()
    for unit, kind in zip(state.units(), state.kinds, strict=True):
        if kind == "paid":
            tables.settlement.settle(unit)
    return tables, closing_over(tables)


def closing_over(tables: Tables, units: Any = None) -> Closing:
    return Closing(
        jobs=tables.jobs,
        units=units or tables.units,
        transitions=tables.transitions,
        settlement=tables.settlement,
        clock=tables.clock,
    )


def close(tables: Tables, closing: Closing, outcome: Outcome, *, twice: bool = False) -> int:
    """Every step to the last; how many there were."""
    step, count = Step(outcome), 0
    while step.outcome is not Outcome.CLOSED:
        assert count < 8, "it never comes to an end"
        count += 1
        before = step
        for _ in range(1 + twice):
            step = closing.go_on(tables.job, outcome, before) if tables.job.is_live else Step(Outcome.CLOSED)
    return count


def is_all_done(state: State) -> bool:
    """Then the job is completed, also when its last debits are made by its end."""
    return bool(state.kinds) and set(state.kinds) <= {"paid", "unpaid"}


def expected_failure(state: State) -> Failure | None:
    """That of the unit which failed first, else what was noted, else the platform's; None unless the job failed."""
    if is_all_done(state) or state.outcome is not Outcome.FAILED:
        return None
    failed = [(kind, index) for index, kind in enumerate(state.kinds) if kind in ("early", "late")]
    if failed:
        return failure_at(min(failed)[1])
    code = FailureCode.INTERNAL if state.job_is is JobStatus.RUNNING else FailureCode.PLANNING_FAILED
    platforms = Failure(code, Blame.PLATFORM, "The platform could not finish the job; nothing unfinished was charged.")
    return state.broken or platforms


def check_books(state: State, tables: Tables) -> None:
    """What was completed is paid, the rest of the hold is back, and nothing is counted or kept for the job any more."""
    job, paid = tables.job, [index for index, kind in enumerate(state.kinds) if kind in ("paid", "unpaid")]
    assert (job.units_completed, job.credits_spent, job.progressed_at) == (len(paid), len(paid) * PRICE, None)
    debited = sorted(entry.unit_id or "" for entry in tables.entries(EntryKind.DEBIT))
    assert debited == [a_unit(index).id for index in paid]
    assert {entry.amount for entry in tables.entries(EntryKind.DEBIT)} <= {PRICE}
    rest = QUOTE - len(paid) * PRICE
    released = Transfer(f"release#{job.id}", job.customer_id, EntryKind.RELEASE, rest, NOW, job_id=job.id)
    assert tables.entries(EntryKind.RELEASE) == [released]
    assert tables.limits.quota(job.customer_id).live_jobs == frozenset()
    assert [upload.live_jobs for upload in tables.world.uploads.values()] == [frozenset()] * 2


def test_every_job_ends_paid_returned_and_told(each: Any) -> None:
    for state in each(states()):
        tables, closing = tables_in(state)
        steps = close(tables, closing, state.outcome, twice=state.twice)
        job = tables.job
        assert steps == (2 if "unpaid" in state.kinds else 1), state
        status = JobStatus.COMPLETED if is_all_done(state) else STATUSES[state.outcome]
        assert (job.status, job.finished_at, job.task_token) == (status, NOW, None), state
        assert job.failure == expected_failure(state), state
        # A job that is all paid has no units to go over, and none can be added.
        assert job.closing is (set(state.kinds) != {"paid"}), state
        check_books(state, tables)
        for unit, kind in zip(state.units(), state.kinds, strict=True):
            ended = replace(unit, status=UnitStatus.CANCELLED, lease=None, finished_at=NOW, version=2)
            assert tables.unit(unit.index) == (ended if kind in OPEN else unit), state


def test_no_unit_is_added_behind_the_walk_that_ends_them() -> None:
    """A plan that is still being written learns that the job is closing before the first unit is ended."""
    tables, _ = tables_in(State(("waiting",)))
    noted: list[bool] = []
    crossing = Crossing(tables.units, lambda: noted.append(tables.job.closing))
    closing_over(tables, crossing).go_on(tables.job, Outcome.FAILED, Step(Outcome.FAILED))
    assert noted == [True]


def test_a_hold_that_is_spent_to_the_last_credit_leaves_nothing_to_return() -> None:
    tables, closing = tables_in(State(("paid", "unpaid", "early")), quote=Quote(2 * PRICE))
    close(tables, closing, Outcome.FAILED)
    assert tables.entries(EntryKind.RELEASE) == []


@pytest.mark.parametrize(("kind", "per_step"), [("waiting", [300, 600, 650]), ("unpaid", [0, 300, 600, 650])])
def test_a_step_ends_or_pays_three_hundred_units(kind: str, per_step: list[int]) -> None:
    """What was not paid is found by a first walk, which writes nothing, and paid by a second one."""
    tables, closing = tables_in(State((kind,) * 650), quote=Quote(650 * PRICE), units_total=651)
    step, ended = Step(Outcome.FAILED), []
    while step.outcome is not Outcome.CLOSED:
        step = closing.go_on(tables.job, Outcome.FAILED, step)
        cancelled = sum(unit.status is UnitStatus.CANCELLED for unit in tables.all_units())
        ended.append(cancelled + len(tables.entries(EntryKind.DEBIT)))
    assert ended == per_step


def test_books_that_do_not_add_up_do_not_keep_a_job_from_its_end() -> None:
    tables, closing = tables_in(State(("paid", "early")))
    tables.change_job(units_completed=0)
    close(tables, closing, Outcome.FAILED)
    assert tables.job.status is JobStatus.FAILED


def test_who_read_the_job_before_its_last_debit_does_not_return_what_that_took() -> None:
    tables, closing = tables_in(State(("paid", "paid")))
    stale = replace(tables.job, credits_spent=PRICE)
    with pytest.raises(StaleWrite):
        closing.go_on(stale, Outcome.COMPLETED, Step(Outcome.COMPLETED))
    assert tables.job.is_live
    assert tables.entries(EntryKind.RELEASE) == []


def test_who_finds_the_job_ended_meanwhile_is_done() -> None:
    tables, closing = tables_in(State(("paid", "paid")))
    before = tables.job
    close(tables, closing, Outcome.COMPLETED)
    ended, entries = tables.job, tables.entries(EntryKind.RELEASE)
    assert closing.go_on(before, Outcome.COMPLETED, Step(Outcome.COMPLETED)).outcome is Outcome.CLOSED
    assert (tables.job, tables.entries(EntryKind.RELEASE)) == (ended, entries)
