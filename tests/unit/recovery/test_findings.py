"""The world is broken by hand, one test per finding: it is found, repaired and counted once, and the job goes on."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from gpupool import bootstrap
from gpupool.jobs.model import Job, JobStatus
from gpupool.ledger.model import EntryKind
from gpupool.units.model import UnitStatus
from gpupool.wire.failures import FailureCode
from gpupool.workflow.memory import MemoryExecutions
from gpupool.workflow.model import Run
from tests.factories import CUSTOMER_ID, dag
from tests.platform import LEASE_SECONDS, At, Machine, Platform
from tests.unit.recovery.watch import MINUTE, Watch

CHAIN = dag((), (0,))


def a_chain() -> tuple[Watch, Job, Machine]:
    """A job of two units, the first of which waits for a machine."""
    watch = Watch(Platform(package=CHAIN))
    job = watch.platform.submit()
    watch.settle()
    return watch, job, Machine(watch.platform)


def assert_completes(watch: Watch, job: Job) -> None:
    """What was found is mended, the job completes, and its books are right."""
    watch.settle()
    assert watch.look() == {}
    Machine(watch.platform).work_off()
    watch.settle()
    assert watch.platform.job(job).status is JobStatus.COMPLETED
    watch.platform.check_books()
    watch.wait(15)


def assert_goes_on(watch: Watch, job: Job) -> None:
    """The job completes without another finding."""
    assert_completes(watch, job)
    assert watch.look() == {}
    assert not watch.is_watched(job)


def test_a_job_whose_execution_never_started_is_started() -> None:
    watch = Watch(Platform(package=CHAIN))
    job = watch.platform.submit()
    watch.lose_records(job.id)

    watch.wait(10)
    assert watch.look() == {}
    watch.wait(1)
    assert watch.look() == {"job_without_execution": 1}

    assert_completes(watch, job)
    # The same record would have told of the job.
    assert watch.look() == {"change_without_event": 1}
    assert watch.look() == {}


def test_a_job_whose_execution_is_over_is_closed() -> None:
    watch, job, machine = a_chain()
    machine.complete(machine.take())
    watch.settle()
    end_execution(watch, job)

    watch.wait(29)
    assert watch.look() == {}
    watch.wait(2)
    assert watch.look() == {"job_without_execution": 1}
    watch.settle()

    ended = watch.platform.job(job)
    assert ended.failure is not None
    assert (ended.status, ended.failure.code) == (JobStatus.FAILED, FailureCode.INTERNAL)
    watch.settle()
    watch.platform.check_books()
    watch.wait(15)
    assert watch.look() == {}


def test_what_was_done_and_paid_before_its_execution_was_lost_is_a_completed_job() -> None:
    watch, job, machine = a_chain()
    machine.complete(machine.take())
    watch.settle()
    end_execution(watch, job)
    machine.complete(machine.take())
    watch.settle()

    watch.wait(31)

    assert watch.look() == {"job_without_execution": 1}
    watch.settle()
    assert watch.platform.job(job).status is JobStatus.COMPLETED


def end_execution(watch: Watch, job: Job) -> None:
    watch.platform.executions[job.id].at = At.ENDED
    watch.platform.ports.executions.ended[job.id] = watch.platform.clock.now()


def test_a_queued_unit_whose_message_is_gone_is_rung_for_again() -> None:
    watch, job, _ = a_chain()
    watch.lose_bells()

    watch.wait(10)
    assert watch.look() == {}
    watch.wait(1)
    assert watch.look() == {"queued_without_message": 1}

    assert_goes_on(watch, job)


def test_a_bell_lost_again_is_found_again() -> None:
    watch, job, _ = a_chain()
    for _ in range(3):
        watch.lose_bells()
        watch.wait(11)
        assert watch.look() == {"queued_without_message": 1}
        watch.settle()
    assert_goes_on(watch, job)


def test_a_unit_without_a_message_for_a_day_fails_with_its_job() -> None:
    watch, job, _ = a_chain()
    watch.lose_bells()

    watch.wait(24 * 60 + 1)

    assert watch.look() == {"queued_without_message": 1}
    watch.settle()
    failure = watch.platform.job(job).failure
    assert failure is not None
    assert failure.code is FailureCode.DISPATCH_FAILED


def test_a_lapsed_lease_that_no_message_leads_to_is_queued_again() -> None:
    watch, job, machine = a_chain()
    bell = machine.receive()
    assert bell is not None
    lost = machine.claim(bell)
    watch.platform.ports.queue.silence(bell.doorway)

    watch.platform.tick(LEASE_SECONDS + 15 * MINUTE)
    assert watch.look() == {}
    watch.wait(1)
    assert watch.look() == {"lease_without_node": 1}

    assert watch.platform.unit(lost.unit_id).status is UnitStatus.QUEUED
    assert_goes_on(watch, job)
    assert watch.platform.unit(lost.unit_id).attempt == 2


def test_a_ready_unit_that_nobody_released_is_queued() -> None:
    watch, job, machine = a_chain()
    machine.complete(machine.take())
    watch.settle()
    second = watch.platform.units(job)[1]
    watch.platform.ports.units.replace(replace(second, status=UnitStatus.WAITING, queued_at=None))
    watch.lose_records(second.id)
    watch.lose_bells()

    watch.wait(30)
    assert watch.look() == {}
    watch.wait(1)
    assert watch.look() == {"ready_not_released": 1}

    assert_goes_on(watch, job)


def test_a_completed_unit_whose_record_was_given_up_is_paid_told_and_opens_what_needs_it() -> None:
    watch, job, machine = a_chain()
    grant = machine.take()
    machine.complete(grant)
    watch.lose_records(grant.unit_id)

    watch.wait(10)
    assert watch.look() == {}
    watch.wait(1)
    assert watch.look() == {"completed_without_debit": 1}

    assert [entry.unit_id for entry in watch.platform.posted(EntryKind.DEBIT)] == [grant.unit_id]
    assert "unit.completed" in {event.type for event in watch.platform.events(job)}
    assert_goes_on(watch, job)


def test_a_paid_unit_that_is_still_waited_for_is_opened() -> None:
    watch, job, machine = a_chain()
    grant = machine.take()
    machine.complete(grant)
    watch.lose_records(grant.unit_id)
    bootstrap.build_settlement(watch.platform.ports).settle(watch.platform.unit(grant.unit_id))

    watch.wait(11)

    assert watch.look() == {"need_not_opened": 1}
    assert_goes_on(watch, job)


def test_a_unit_that_gathers_is_opened_once_all_its_needs_are_long_completed() -> None:
    watch = Watch(Platform(package=dag(*[()] * 10, tuple(range(10)))))
    job = watch.platform.submit()
    watch.settle()
    machine = Machine(watch.platform)
    for at in range(10):
        grant = machine.take()
        machine.complete(grant)
        if at < 9:
            watch.settle()
    watch.lose_records(grant.unit_id)
    bootstrap.build_settlement(watch.platform.ports).settle(watch.platform.unit(grant.unit_id))

    watch.wait(10)
    assert watch.look() == {}
    watch.wait(1)

    # Which of its needs the gate was open for cannot be told.
    assert watch.look() == {"need_not_opened": 10}
    assert_goes_on(watch, job)


def a_completed_job() -> tuple[Watch, Job]:
    watch, job, machine = a_chain()
    machine.work_off()
    watch.settle()
    return watch, job


@pytest.mark.parametrize("kind", ["job.created", "job.started", "job.completed"])
def test_an_event_that_was_never_written_is_written_as_it_would_have_been(kind: str) -> None:
    watch, job = a_completed_job()
    lost = watch.lose_event(job, kind)
    watch.wait(11)

    assert watch.look() == {"change_without_event": 1}

    assert [event for event in watch.platform.events(job) if event.type == kind] == [lost]
    assert watch.is_watched(job)
    assert watch.look() == {}
    assert not watch.is_watched(job)


def test_an_event_without_a_delivery_is_delivered_to_who_asked_for_it_then() -> None:
    watch = Watch(Platform(package=CHAIN))
    asked, other = watch.endpoint(), watch.endpoint()
    job = watch.platform.submit()
    watch.settle()
    machine = Machine(watch.platform)
    machine.work_off()
    watch.settle()
    late = watch.endpoint()
    lost = next(each for each in watch.deliveries(asked).values() if each.event_type == "job.completed")
    del watch.platform.ports.world.deliveries[asked.id][lost.id]
    before = watch.deliveries(other)
    watch.wait(11)

    assert watch.look() == {"event_without_delivery": 1}

    again = watch.deliveries(asked)[lost.event_id]
    assert (again.id, again.sequence) == (lost.id, len(before) + 1)
    assert (watch.deliveries(other), watch.deliveries(late)) == (before, {})
    assert watch.look() == {}
    assert not watch.is_watched(job)


def unlike(watch: Watch) -> None:
    balances = watch.platform.ports.world.balances
    balance = balances[CUSTOMER_ID]
    balances[CUSTOMER_ID] = replace(balance, held=balance.held + 1, available=balance.available - 1)


def forget_the_job(watch: Watch) -> None:
    quotas = watch.platform.ports.world.quotas
    quotas[CUSTOMER_ID] = replace(quotas[CUSTOMER_ID], live_jobs=frozenset())


@pytest.mark.parametrize("break_it", [unlike, forget_the_job])
def test_a_hold_that_is_no_jobs_is_told_as_long_as_it_lasts_and_left_to_people(break_it: Callable[[Watch], None]) -> None:
    watch, _, _ = a_chain()
    break_it(watch)
    before = (watch.platform.ports.ledger.balance(CUSTOMER_ID), watch.platform.entries)

    assert [watch.look() for _ in range(2)] == [{"hold_without_job": 1}] * 2

    assert (watch.platform.ports.ledger.balance(CUSTOMER_ID), watch.platform.entries) == before


class IllExecutions(MemoryExecutions):
    """Cannot tell of one execution."""

    def __init__(self, known: MemoryExecutions, ill: str) -> None:
        super().__init__()
        self.started, self.resumed, self.ended = known.started, known.resumed, known.ended
        self._ill = ill

    def look(self, name: str) -> Run | None:
        if name == self._ill:
            raise RuntimeError("no answer")
        return super().look(name)


def test_a_job_that_cannot_be_looked_at_holds_up_no_other() -> None:
    watch, job, _ = a_chain()
    other = watch.platform.submit()
    watch.settle()
    watch.lose_bells()
    watch.wait(11)
    watch.platform.ports.executions = IllExecutions(watch.platform.ports.executions, min(job.id, other.id))

    report = Watch(watch.platform).report()

    assert (report.failed, report.counts) == (1, {"queued_without_message": 1})
