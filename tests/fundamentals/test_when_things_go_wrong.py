"""Failures, lapses and cancels: what each leads to, and that nobody pays for what was not completed."""

import pytest

from gpupool.errors import Conflict
from gpupool.jobs.model import Job, JobStatus
from gpupool.ledger.model import EntryKind
from gpupool.units.model import UnitStatus
from gpupool.wire.failures import Blame, FailureCode
from tests.factories import CUSTOMER_ID
from tests.platform import LEASE_SECONDS, At, Machine, Platform

LAPSE = LEASE_SECONDS + 2


def a_running_platform() -> Platform:
    platform = Platform()
    platform.submit()
    platform.settle()
    return platform


def only_job(platform: Platform) -> Job:
    return next(iter(platform.ports.world.jobs.values()))


def test_a_failed_attempt_is_offered_again() -> None:
    platform = a_running_platform()
    machine, other = Machine(platform), Machine(platform)

    machine.fail(machine.take(), FailureCode.INPUT_UNAVAILABLE)
    platform.settle()

    assert other.take().attempt == 2


def test_one_broken_machine_does_not_fail_a_job() -> None:
    platform = a_running_platform()
    broken, sound = Machine(platform), Machine(platform)
    for _ in range(3):
        broken.fail(broken.take(), FailureCode.SANDBOX_FAILED)
        platform.settle()
        with pytest.raises(Conflict) as refused:
            broken.take()
        assert refused.value.code == "UNIT_NOT_SUITABLE"
        platform.tick(15)
        sound.complete(sound.take())
        platform.settle()

    assert only_job(platform).status is JobStatus.COMPLETED
    platform.check_books()


def test_a_machine_that_is_alone_gets_what_it_failed_again_after_a_pause() -> None:
    platform = a_running_platform()
    machine = Machine(platform)
    machine.fail(machine.take(), FailureCode.SANDBOX_FAILED)
    platform.settle()

    platform.tick(120)

    assert machine.take().attempt == 2


def test_a_machine_that_beats_for_ever_does_not_keep_a_unit_for_ever() -> None:
    platform = a_running_platform()
    stuck, other = Machine(platform), Machine(platform)
    grant = stuck.take()
    beats = 0
    while stuck.heartbeat(grant).units[0].verdict == "continue":
        platform.tick(50)
        beats += 1

    assert beats * 50 < 600 + 2 * 3_600 + 100
    platform.tick(1)
    assert other.take().attempt == 2


def test_a_unit_that_fails_for_good_ends_the_job_with_its_cause() -> None:
    platform = a_running_platform()
    machine = Machine(platform)
    grant = machine.take()

    machine.fail(grant, FailureCode.TIMED_OUT, message="It took too long.")
    platform.settle()

    job = only_job(platform)
    assert job.status is JobStatus.FAILED
    assert (job.failure.code, job.failure.blame, job.failure.unit_id) == (FailureCode.TIMED_OUT, Blame.USER, grant.unit_id)
    assert job.failure.message == "It took too long."
    assert [unit.status for unit in platform.units(job)] == [UnitStatus.FAILED, UnitStatus.CANCELLED, UnitStatus.CANCELLED]


def test_a_failed_job_costs_what_was_completed_and_no_more() -> None:
    platform = a_running_platform()
    machine = Machine(platform)
    machine.complete(machine.take())
    platform.settle()

    machine.fail(machine.take(), FailureCode.NO_MODEL)
    platform.settle()

    job = only_job(platform)
    assert len(platform.posted(EntryKind.DEBIT)) == 1
    assert [entry.amount for entry in platform.posted(EntryKind.RELEASE)] == [job.quote.credits - job.credits_spent]
    platform.check_books()


def test_a_silent_machine_loses_its_unit_to_the_next() -> None:
    platform = a_running_platform()
    first, second = Machine(platform), Machine(platform)
    lost = first.take()
    assert second.receive() is None

    platform.tick(LAPSE)
    won = second.take()

    assert (won.unit_id, won.attempt) == (lost.unit_id, 2)
    assert won.lease_token != lost.lease_token


def test_a_late_result_is_welcome_until_somebody_else_has_the_unit() -> None:
    platform = a_running_platform()
    machine = Machine(platform)
    grant = machine.take()

    platform.tick(10 * LEASE_SECONDS)

    assert machine.complete(grant).accepted


def test_a_late_result_is_refused_once_somebody_else_has_the_unit() -> None:
    platform = a_running_platform()
    first, second = Machine(platform), Machine(platform)
    lost = first.take()
    platform.tick(LAPSE)
    won = second.take()

    with pytest.raises(Conflict) as refused:
        first.complete(lost)

    assert refused.value.code == "LEASE_LOST"
    assert first.heartbeat(lost).units[0].verdict == "lease_lost"
    assert platform.unit(won.unit_id).status is UnitStatus.RUNNING


def test_a_result_reported_twice_is_answered_alike_and_costs_once() -> None:
    platform = a_running_platform()
    machine = Machine(platform)
    grant = machine.take()
    first = machine.complete(grant)

    second = machine.complete(grant, runtime_seconds=10_000)
    platform.settle()

    assert (first.status, first.accepted) == ("completed", True)
    assert (second.status, second.accepted) == ("completed", False)
    assert len(platform.posted(EntryKind.DEBIT)) == 1


def test_attempts_run_out_when_every_machine_falls_silent() -> None:
    platform = a_running_platform()
    grants = []
    for _ in range(3):
        grants.append(Machine(platform).take())
        platform.tick(LAPSE)

    with pytest.raises(Conflict) as refused:
        Machine(platform).take()
    platform.settle()

    job = only_job(platform)
    assert [grant.attempt for grant in grants] == [1, 2, 3]
    assert refused.value.code == "UNIT_GONE"
    assert (job.failure.code, job.failure.blame) == (FailureCode.LEASE_EXPIRED, Blame.NODE)
    assert job.status is JobStatus.FAILED
    platform.check_books()


def test_a_cancel_stops_what_runs_at_its_next_heartbeat() -> None:
    platform = a_running_platform()
    machine = Machine(platform)
    grant = machine.take()

    platform.cancel(only_job(platform))
    platform.settle()

    assert only_job(platform).status is JobStatus.CANCELLED
    assert machine.heartbeat(grant).units[0].verdict == "cancel"
    with pytest.raises(Conflict):
        machine.complete(grant)
    platform.check_books()


def test_a_cancel_before_planning_plans_nothing() -> None:
    platform = Platform()
    job = platform.submit()
    platform.cancel(job)

    platform.settle()

    assert platform.job(job).status is JobStatus.CANCELLED
    assert platform.units(job) == ()
    assert platform.ports.ledger.balance(CUSTOMER_ID).available == 1_000


def test_a_step_that_cannot_be_done_fails_the_job_and_returns_the_hold() -> None:
    platform = a_running_platform()
    job = only_job(platform)

    platform.executions[job.id].fail()
    platform.settle()

    ended = platform.job(job)
    assert (ended.status, ended.failure.code, ended.failure.blame) == (
        JobStatus.FAILED,
        FailureCode.INTERNAL,
        Blame.PLATFORM,
    )
    assert platform.executions[job.id].at is At.ENDED
    platform.check_books()
