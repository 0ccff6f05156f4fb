"""Ending a job: whatever races with it, every completed unit is paid once and the hold comes back once."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from gpupool.jobs.model import JobStatus, Quote
from gpupool.ledger.model import EntryKind, hold
from gpupool.units.model import UnitStatus
from gpupool.wire.failures import Blame, FailureCode
from gpupool.workflow.model import Outcome
from tests.factories import CUSTOMER_ID, dag
from tests.platform import At, Machine, Platform


def half_done() -> tuple[Platform, str]:
    """One unit completed but not delivered yet, one running, one waiting."""
    platform = Platform(package=dag((), (), (0, 1)))
    job = platform.submit()
    platform.settle()
    machine = Machine(platform)
    grant = machine.take()
    machine.take()
    machine.complete(grant)
    return platform, job.id


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.CANCELLED])
def test_closing_before_the_outbox_pays_what_was_completed(outcome: Outcome) -> None:
    platform, job_id = half_done()

    platform.workflow.close(job_id, outcome)

    statuses = [unit.status for unit in platform.ports.units.all_of(job_id)]
    assert statuses == [UnitStatus.COMPLETED, UnitStatus.CANCELLED, UnitStatus.CANCELLED]
    assert len(platform.posted(EntryKind.DEBIT)) == len(platform.posted(EntryKind.RELEASE)) == 1
    platform.check_books()


def test_the_outbox_after_the_end_pays_nothing_twice() -> None:
    platform, job_id = half_done()
    platform.workflow.close(job_id, Outcome.FAILED)
    entries = platform.entries

    platform.settle()
    for change in list(platform.stream.delivered):
        platform.receive(change)
    platform.settle()

    assert platform.entries == entries
    platform.check_books()


def test_closing_again_and_otherwise_changes_nothing() -> None:
    platform, job_id = half_done()
    platform.workflow.close(job_id, Outcome.CANCELLED)
    ended, entries = platform.ports.world.jobs[job_id], platform.entries

    for outcome in (Outcome.CANCELLED, Outcome.FAILED, Outcome.COMPLETED):
        platform.workflow.close(job_id, outcome)

    assert (platform.ports.world.jobs[job_id], platform.entries) == (ended, entries)


def test_an_ended_job_forgets_its_token_and_frees_its_uploads() -> None:
    platform, job_id = half_done()
    assert platform.ports.world.jobs[job_id].task_token is not None

    platform.workflow.close(job_id, Outcome.FAILED)

    assert platform.ports.world.jobs[job_id].task_token is None
    assert all(not upload.live_jobs for upload in platform.ports.world.uploads.values())


@pytest.mark.parametrize("kind", [EntryKind.DEBIT, EntryKind.RELEASE])
def test_every_repetition_of_every_record_is_free(kind: EntryKind) -> None:
    platform = Platform(package=dag((), (0,), (0,), (1, 2)))
    platform.submit()
    Machine(platform).work_off()
    posted = platform.posted(kind)
    delivered = list(platform.stream.delivered)

    for change in [*reversed(delivered), *delivered, *delivered]:
        platform.receive(change)
        platform.check_books()

    assert platform.posted(kind) == posted


def test_a_bell_that_rings_after_the_end_is_silenced() -> None:
    platform = Platform()
    platform.submit()
    Machine(platform).work_off()
    for change in list(platform.stream.delivered):
        platform.receive(change)
    assert platform.bells() == 3

    machine = Machine(platform)
    while (bell := machine.receive()) is not None:
        with pytest.raises(Exception, match="needs nobody"):
            machine.claim(bell)

    assert platform.bells() == 0


def queued(platform: Platform) -> None:
    """Nothing was delivered yet."""


def planning(platform: Platform) -> None:
    platform.deliver(only(platform))
    platform.ports.jobs.begin_planning(only(platform))


def planned(platform: Platform) -> None:
    platform.deliver(only(platform))
    platform.step(platform.executions[only(platform)])


def released(platform: Platform) -> None:
    platform.settle()


def claimed(platform: Platform) -> None:
    platform.settle()
    Machine(platform).take()


def completed_undelivered(platform: Platform) -> None:
    platform.settle()
    machine = Machine(platform)
    machine.complete(machine.take())


def retried(platform: Platform) -> None:
    platform.settle()
    machine = Machine(platform)
    machine.fail(machine.take(), FailureCode.NODE_DRAINED)


def woken(platform: Platform) -> None:
    completed_undelivered(platform)
    while platform.stream.rows:
        platform.deliver(platform.stream.rows[0])


def only(platform: Platform) -> str:
    return next(iter(platform.ports.world.jobs))


STATES = [queued, planning, planned, released, claimed, completed_undelivered, retried, woken]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_a_cancel_ends_the_job_from_every_state(state: Callable[[Platform], None]) -> None:
    platform = Platform()
    job = platform.submit()
    state(platform)

    platform.cancel(job)
    platform.settle()

    assert platform.job(job).status is JobStatus.CANCELLED
    assert platform.executions[job.id].at is At.ENDED
    assert platform.ports.ledger.balance(CUSTOMER_ID).held == 0
    platform.check_books()


def test_asking_to_cancel_again_is_fine_and_keeps_the_first_time() -> None:
    platform = Platform()
    job = platform.submit()
    platform.cancel(job)
    first = platform.job(job).cancel_requested_at
    platform.tick(5)

    platform.cancel(job)
    platform.settle()

    assert platform.job(job).cancel_requested_at == first


@pytest.mark.parametrize(
    ("steps", "code"), [(0, FailureCode.PLANNING_FAILED), (1, FailureCode.INTERNAL), (2, FailureCode.INTERNAL)]
)
def test_what_the_platform_broke_is_named_by_how_far_the_job_was(steps: int, code: FailureCode) -> None:
    platform = Platform()
    job = platform.submit()
    platform.deliver(job.id)
    for _ in range(steps):
        platform.step(platform.executions[job.id])

    platform.workflow.close(job.id, Outcome.FAILED)

    failure = platform.job(job).failure
    assert failure is not None
    assert (failure.code, failure.blame) == (code, Blame.PLATFORM)
    platform.check_books()


def test_the_first_of_several_failures_is_the_jobs() -> None:
    platform = Platform(package=dag((), ()))
    job = platform.submit()
    platform.settle()
    machine = Machine(platform)
    first, second = machine.take(), machine.take()
    machine.fail(second, FailureCode.NO_MODEL)
    platform.tick(1)
    machine.fail(first, FailureCode.DISK_FULL)

    platform.settle()

    failure = platform.job(job).failure
    assert failure is not None
    assert (failure.code, failure.unit_id) == (FailureCode.NO_MODEL, second.unit_id)


def test_a_job_whose_plan_became_dearer_than_its_quote_fails_and_costs_nothing() -> None:
    platform = Platform()
    job = platform.submit()
    cheaper = replace(platform.job(job), quote=Quote(job.quote.credits - 1))
    platform.ports.world.jobs[job.id] = cheaper
    entries = platform.ports.world.transfers[CUSTOMER_ID]
    held = hold(customer_id=CUSTOMER_ID, job_id=job.id, amount=cheaper.quote.credits, at=job.created_at)
    entries[held.id] = held
    balance = platform.ports.ledger.balance(CUSTOMER_ID)
    platform.ports.world.balances[CUSTOMER_ID] = replace(balance, available=balance.available + 1, held=balance.held - 1)

    platform.settle()

    ended = platform.job(job)
    assert (ended.status, ended.failure and ended.failure.code) == (JobStatus.FAILED, FailureCode.PLANNING_FAILED)
    assert platform.units(job) == ()
    platform.check_books()
