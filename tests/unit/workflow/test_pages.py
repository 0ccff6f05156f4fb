"""Jobs of more units than one step goes over: planned, released, opened, gathered and closed page by page."""

import pytest

from gpupool.jobs.model import Job, JobStatus
from gpupool.ledger.model import EntryKind
from gpupool.units.model import UnitStatus
from gpupool.workflow import tending
from gpupool.workflow.model import Outcome, Step
from gpupool.workflow.rounds import PAGE
from tests.factories import CUSTOMER_ID, dag
from tests.platform import At, Machine, Platform

LANES = PAGE + 50
FORK = dag((), *[(0,)] * LANES, tuple(range(1, LANES + 1)))


def forked() -> tuple[Platform, Job]:
    """A root that more units need than fit a page, and one that needs all of those; the root is about to run."""
    platform = a_large_platform()
    job = platform.submit(max_runtime_seconds=60)
    platform.settle()
    return platform, job


def a_large_platform() -> Platform:
    platform = Platform(package=FORK, credits=100_000)
    platform.ports.limits.set_maxima(CUSTOMER_ID, live_jobs=None, units_per_day=1_000)
    return platform


def test_no_unit_is_released_before_all_are_written() -> None:
    platform = a_large_platform()
    job = platform.submit(max_runtime_seconds=60)
    platform.deliver(job.id)
    execution = platform.executions[job.id]

    platform.step(execution)

    assert (execution.at, execution.state) == (At.PLAN, Step(Outcome.PLAN, str(PAGE), 1, 0))
    assert {unit.status for unit in platform.units(job)} == {UnitStatus.WAITING}
    assert platform.job(job).status is JobStatus.PLANNING


def test_a_fork_wider_than_a_page_runs_and_joins() -> None:
    platform, job = forked()

    done = Machine(platform).work_off()

    assert done == LANES + 2
    assert platform.job(job).status is JobStatus.COMPLETED
    assert len(platform.posted(EntryKind.DEBIT)) == LANES + 2
    assert platform.job(job).fan_outs == frozenset()
    platform.check_books()


def test_what_many_wait_for_is_opened_by_the_execution_and_not_by_one_record() -> None:
    platform, job = forked()
    machine = Machine(platform)
    machine.complete(machine.take())
    root = f"{job.id}.00000"
    while root in platform.stream.rows:
        platform.deliver(root)

    assert platform.job(job).fan_outs == frozenset({0})
    assert {unit.status for unit in platform.units(job)[1:]} == {UnitStatus.WAITING}
    assert platform.executions[job.id].at is At.TEND


def test_the_join_is_queued_when_its_last_gate_is_empty() -> None:
    platform, job = forked()
    machine = Machine(platform)
    for _ in range(LANES):
        machine.complete(machine.take())
        platform.settle()
    assert platform.units(job)[-1].status is UnitStatus.WAITING

    machine.complete(machine.take())
    platform.settle()

    assert platform.units(job)[-1].status is UnitStatus.QUEUED


@pytest.mark.parametrize("finished", [0, 1, 40])
def test_a_cancel_ends_every_unit_page_by_page(finished: int) -> None:
    platform, job = forked()
    machine = Machine(platform)
    for _ in range(finished):
        machine.complete(machine.take())
        platform.settle()

    platform.cancel(job)
    platform.settle()

    assert platform.job(job).status is JobStatus.CANCELLED
    assert [str(unit.status) for unit in platform.units(job)].count("completed") == finished
    platform.check_books()


def test_a_completion_that_nobody_heard_of_is_found_although_many_wait_for_it() -> None:
    platform, job = forked()
    machine = Machine(platform)
    grant = machine.take()
    machine.complete(grant)
    while platform.stream.pending(grant.unit_id):
        platform.stream.take(grant.unit_id)
    platform.tick(301)

    platform.executions[job.id].time_out()
    platform.settle()

    assert [unit.status for unit in platform.units(job)].count(UnitStatus.QUEUED) == platform.ports.settings.release_window
    platform.check_books()


def test_a_long_history_is_handed_over_to_the_next_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    platform, job = forked()
    monkeypatch.setattr(tending, "MOST_STEPS", 3)

    Machine(platform).work_off()

    ended = platform.job(job)
    assert (ended.status, ended.generation) == (JobStatus.COMPLETED, len(platform.executions) - 1)
    assert ended.generation >= 1
    assert all(execution.at is At.ENDED for execution in platform.executions.values())
    platform.check_books()


def test_an_abandoned_job_fails_and_is_closed_by_another_execution() -> None:
    platform, job = forked()
    platform.executions[job.id].at = At.ENDED

    for _ in range(2):
        platform.workflow.abandon(job.id)
    platform.wake()
    platform.settle()

    assert sorted(platform.executions) == [job.id, f"{job.id}-1"]
    assert platform.job(job).status is JobStatus.FAILED
    platform.check_books()


def test_units_that_a_late_plan_adds_to_a_job_that_is_being_closed_are_never_released() -> None:
    platform = Platform(package=dag((), ()))
    job = platform.submit()
    platform.deliver(job.id)
    platform.ports.jobs.begin_planning(job.id)
    platform.ports.jobs.begin_closing(job.id)

    assert platform.workflow.plan(job.id).outcome is Outcome.FAILED
    assert platform.ports.jobs.begin_running(job.id, units_total=2, at=platform.clock.now()) is None
    assert platform.units(job) == ()
