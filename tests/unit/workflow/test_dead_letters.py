"""A bell that rang too often: the unit's row decides, not the count of receives."""

from datetime import timedelta

import pytest

from gpupool.errors import Conflict, StaleWrite
from gpupool.jobs.model import JobStatus
from gpupool.units.decide import PATIENCE
from gpupool.units.memory import MemoryUnitStore
from gpupool.units.model import Unit, UnitStatus
from gpupool.wire.failures import Blame, FailureCode
from gpupool.wire.joining import Doorbell
from gpupool.workflow.dead_letters import DeadLetters
from tests.platform import Machine, Platform

DAY = PATIENCE.total_seconds()


def ringing() -> tuple[Platform, Doorbell]:
    """A queued unit, and its bell as a dead letter; the queue itself is empty."""
    platform = Platform()
    job = platform.submit()
    platform.settle()
    machine = Machine(platform)
    message = machine.receive()
    assert message is not None
    platform.ports.queue.silence(message.doorway)
    return platform, Doorbell(job_id=job.id, unit_id=message.bell.unit_id, attempt=0)


def test_a_queued_unit_is_rung_for_again() -> None:
    platform, bell = ringing()

    platform.dead_letters.handle(bell)

    assert Machine(platform).take().unit_id == bell.unit_id


def test_a_running_unit_is_rung_for_again_because_its_holder_may_be_gone() -> None:
    platform, bell = ringing()
    platform.dead_letters.handle(bell)
    machine = Machine(platform)
    machine.take()

    platform.dead_letters.handle(bell)
    message = Machine(platform).receive()

    assert message is not None
    assert message.bell.attempt == 1
    with pytest.raises(Conflict) as refused:
        machine.claim(message)
    assert refused.value.code == "UNIT_LEASED"


def test_a_unit_that_is_not_there_needs_no_bell() -> None:
    platform, bell = ringing()

    platform.dead_letters.handle(bell.model_copy(update={"unit_id": "nobody.00000"}))

    assert platform.bells() == 0


def test_an_ended_unit_needs_no_bell() -> None:
    platform, bell = ringing()
    platform.cancel(next(iter(platform.ports.world.jobs.values())))
    platform.settle()

    platform.dead_letters.handle(bell)

    assert platform.bells() == 0


def test_a_unit_that_nobody_took_for_a_day_fails_and_its_job_with_it() -> None:
    platform, bell = ringing()
    platform.tick(DAY + 1)

    platform.dead_letters.handle(bell)
    platform.settle()

    job = next(iter(platform.ports.world.jobs.values()))
    assert job.status is JobStatus.FAILED
    assert (job.failure.code, job.failure.blame) == (FailureCode.DISPATCH_FAILED, Blame.PLATFORM)
    platform.check_books()


def test_patience_counts_from_the_last_release_not_from_the_first() -> None:
    platform, bell = ringing()
    platform.dead_letters.handle(bell)
    platform.tick(DAY - 10)
    machine = Machine(platform)
    machine.fail(machine.take(), FailureCode.NODE_DRAINED)
    platform.settle()
    platform.tick(20)

    platform.dead_letters.handle(bell)

    assert platform.unit(bell.unit_id).status is UnitStatus.QUEUED


class ClaimedMeanwhile(MemoryUnitStore):
    """Somebody claims the unit at the very moment it is given up."""

    claim = staticmethod(lambda: None)

    def replace(self, unit: Unit) -> Unit:
        if unit.status is UnitStatus.FAILED:
            self.claim()
            raise StaleWrite(unit.id)
        return super().replace(unit)


def test_a_unit_that_is_claimed_while_it_is_given_up_keeps_its_bell() -> None:
    platform, bell = ringing()
    platform.dead_letters.handle(bell)
    platform.tick(timedelta(days=2).total_seconds())
    store = ClaimedMeanwhile(platform.ports.world)
    store.claim = lambda: Machine(platform).take()
    letters = DeadLetters(jobs=platform.ports.jobs, units=store, queue=platform.ports.queue, clock=platform.clock)

    letters.handle(bell)

    assert platform.unit(bell.unit_id).status is UnitStatus.RUNNING
    assert platform.bells() == 2
