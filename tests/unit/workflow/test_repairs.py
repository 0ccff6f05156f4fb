"""Bells are hints that a node can lose: a unit is found again when its job is looked at."""

import pytest

from gpupool.errors import Conflict
from gpupool.jobs.model import Job, JobStatus
from gpupool.units.model import UnitStatus
from gpupool.wire.failures import Blame, FailureCode
from gpupool.wire.units import UnitGrant
from tests.factories import dag
from tests.platform import Machine, Platform, lease_of

HOUR = 3_600
DAY = 24 * HOUR
MINUTES_LATER = 301


def lose(platform: Platform, unit_id: str) -> None:
    """The stream gives the unit's records up."""
    while platform.stream.pending(unit_id):
        platform.stream.take(unit_id)


def one_queued() -> tuple[Platform, Job]:
    platform = Platform(package=dag(()))
    job = platform.submit()
    platform.settle()
    return platform, job


def test_a_completion_whose_record_was_given_up_is_concluded_when_the_job_is_looked_at() -> None:
    platform = Platform(package=dag((), (0,)))
    job = platform.submit()
    platform.settle()
    complete_and_lose(platform)

    platform.tick(MINUTES_LATER)
    look_again(platform, job)

    assert_completed_by(Machine(platform), platform, job)


def test_the_last_completion_can_be_lost_too() -> None:
    platform, job = one_queued()
    complete_and_lose(platform)

    platform.tick(MINUTES_LATER)
    look_again(platform, job)

    assert platform.job(job).status is JobStatus.COMPLETED
    platform.check_books()


def test_a_completion_whose_record_is_on_its_way_is_left_to_it() -> None:
    platform, job = one_queued()
    machine = Machine(platform)
    grant = machine.take()
    machine.complete(grant)

    platform.executions[job.id].time_out()
    platform.step(platform.executions[job.id])

    assert platform.job(job).units_completed == 0


def complete_and_lose(platform: Platform) -> None:
    """A unit is completed, and the stream gives the record of it up."""
    machine = Machine(platform)
    grant = machine.take()
    machine.complete(grant)
    lose(platform, grant.unit_id)


def assert_completed_by(machine: Machine, platform: Platform, job: Job) -> None:
    """The machine does what rings next, and that was the job."""
    machine.complete(machine.take())
    platform.settle()
    assert platform.job(job).status is JobStatus.COMPLETED
    platform.check_books()


def silence(platform: Platform, machine: Machine, grant: UnitGrant) -> None:
    doorway = machine.doorway(grant)
    assert doorway is not None
    platform.ports.queue.silence(doorway)


def look_again(platform: Platform, job: Job) -> None:
    """The wait's own timeout sends the execution back to Advance."""
    platform.executions[job.id].time_out()
    platform.settle()


def test_a_bell_that_a_node_made_vanish_rings_again() -> None:
    platform, job = one_queued()
    machine = Machine(platform)
    bell = machine.receive()
    assert bell is not None
    with pytest.raises(Conflict):  # an id that needs nobody: the bell it came with is silenced
        platform.node.leases.claim(machine.worker, f"{job.id}.00099", bell.doorway)
    assert platform.bells() == 0

    platform.tick(HOUR + 1)
    look_again(platform, job)

    assert_completed_by(machine, platform, job)


def test_a_unit_in_a_queue_is_left_alone_for_an_hour() -> None:
    platform, job = one_queued()

    platform.tick(HOUR)
    look_again(platform, job)

    assert platform.bells() == 1


def test_a_unit_that_nobody_takes_for_a_day_fails_with_the_platforms_blame() -> None:
    platform, job = one_queued()

    platform.tick(DAY + 1)
    look_again(platform, job)

    ended = platform.job(job)
    assert ended.status is JobStatus.FAILED
    assert ended.failure is not None
    assert (ended.failure.code, ended.failure.blame) == (FailureCode.DISPATCH_FAILED, Blame.PLATFORM)
    platform.check_books()


def test_a_lapsed_unit_whose_bell_is_gone_is_queued_again() -> None:
    platform, job = one_queued()
    machine = Machine(platform)
    grant = machine.take()
    silence(platform, machine, grant)

    platform.tick(HOUR)
    look_again(platform, job)

    again = Machine(platform).take()
    assert (again.unit_id, again.attempt) == (grant.unit_id, 2)


def test_a_lapsed_unit_without_attempts_fails_when_its_job_is_looked_at() -> None:
    platform, job = one_queued()
    for _ in range(3):
        machine = Machine(platform)
        silence(platform, machine, machine.take())
        platform.tick(HOUR)
        look_again(platform, job)

    ended = platform.job(job)
    assert ended.failure is not None
    assert (ended.failure.code, ended.failure.blame) == (FailureCode.LEASE_EXPIRED, Blame.NODE)
    platform.check_books()


def test_a_claim_whose_answer_was_lost_is_granted_again() -> None:
    platform, job = one_queued()
    machine = Machine(platform)
    bell = machine.receive()
    assert bell is not None

    first, second = machine.claim(bell), machine.claim(bell)

    assert lease_of(first) == lease_of(second)
    assert platform.unit(first.unit_id).attempt == 1
    assert platform.job(job).status is JobStatus.RUNNING


def test_drains_do_not_use_attempts_up() -> None:
    platform, job = one_queued()
    for _ in range(5):
        machine = Machine(platform)
        machine.fail(machine.take(), FailureCode.NODE_DRAINED)
        platform.settle()
        assert platform.units(job)[0].status is UnitStatus.QUEUED

    assert_completed_by(Machine(platform), platform, job)


def test_a_machine_that_only_ever_drains_ends_the_unit_some_day() -> None:
    platform, job = one_queued()
    for _ in range(10):
        machine = Machine(platform)
        machine.fail(machine.take(), FailureCode.NODE_DRAINED)
        platform.settle()

    assert platform.job(job).status is JobStatus.FAILED
