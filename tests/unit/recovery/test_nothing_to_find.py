"""After the ordinary path there is nothing to find, and on the way there neither: an alarm hangs on every finding."""

import random

import pytest

from gpupool.errors import Conflict
from gpupool.jobs.model import JobStatus
from gpupool.wire.failures import FailureCode
from gpupool.wire.units import UnitGrant
from tests.factories import SINGLE, dag
from tests.platform import LEASE_SECONDS, Machine, Platform
from tests.unit.recovery.watch import Watch

FORK = dag((), (0,), (0,), (1, 2))
# Its last unit gathers, so that it keeps gates open and not its needs.
GATHER = dag(*[()] * 10, tuple(range(10)))


def finish(watch: Watch, machine: Machine) -> None:
    """Works off what rings; recovery looks after every act."""
    watch.settle_watched()
    while (bell := machine.receive()) is not None:
        grant = machine.claim(bell)
        assert watch.look() == {}
        watch.settle()
        watch.wait(20)
        for _ in range(3):
            machine.heartbeat(grant)
            assert watch.look() == {}
            watch.platform.tick(LEASE_SECONDS / 2)
        machine.complete(grant)
        assert watch.look() == {}
        watch.settle_watched()


def look_for_hours(watch: Watch, hours: int = 3) -> None:
    for _ in range(hours * 12):
        watch.settle()
        assert watch.look() == {}
        watch.wait(5)


@pytest.mark.parametrize("package", [SINGLE, FORK, GATHER])
def test_whole_jobs_leave_nothing_and_are_watched_no_more(package: str) -> None:
    watch = Watch(Platform(package=package))
    watch.endpoint()
    jobs = [watch.platform.submit() for _ in range(2)]
    assert watch.look() == {}

    finish(watch, Machine(watch.platform))
    look_for_hours(watch)

    assert {watch.platform.job(job).status for job in jobs} == {JobStatus.COMPLETED}
    assert not any(watch.is_watched(job) for job in jobs)
    watch.platform.check_books()


def test_a_job_that_waits_for_machines_all_day_is_no_finding() -> None:
    watch = Watch(Platform(package=FORK))
    job = watch.platform.submit()

    look_for_hours(watch, hours=23)

    assert watch.is_watched(job)
    assert watch.platform.bells() == 1


def test_a_machine_that_vanished_while_nobody_else_is_there_is_no_finding() -> None:
    watch = Watch(Platform(package=FORK))
    watch.platform.submit()
    watch.settle()
    Machine(watch.platform).take()

    look_for_hours(watch)

    assert Machine(watch.platform).take().attempt == 2


@pytest.mark.parametrize("code", [FailureCode.TIMED_OUT, None], ids=["failed", "cancelled"])
def test_jobs_that_end_without_a_result_leave_nothing(code: FailureCode | None) -> None:
    watch = Watch(Platform(package=FORK))
    watch.endpoint()
    job = watch.platform.submit()
    watch.settle()
    machine = Machine(watch.platform)
    machine.complete(machine.take())
    watch.settle()
    grant = machine.take()

    if code is None:
        watch.platform.cancel(job)
    else:
        machine.fail(grant, code)
    watch.settle_watched()
    look_for_hours(watch)

    assert not watch.platform.job(job).is_live
    assert not watch.is_watched(job)


def test_an_end_that_is_still_to_be_told_is_left_to_its_records() -> None:
    watch = Watch(Platform(package=dag(())))
    webhook = watch.endpoint()
    job = watch.platform.submit()
    watch.platform.settle()
    machine = Machine(watch.platform)
    grant = machine.take()
    machine.complete(grant)
    while watch.platform.stream.pending(grant.unit_id):
        watch.platform.deliver(grant.unit_id)
    while watch.platform.executions[job.id].can_step:
        watch.platform.step(watch.platform.executions[job.id])
    assert watch.platform.job(job).status is JobStatus.COMPLETED

    watch.wait(10)

    assert watch.look() == {}
    assert watch.is_watched(job)
    assert watch.deliveries(webhook) == {}


@pytest.mark.parametrize("seed", range(25))
def test_whatever_order_things_come_in_nothing_is_found(seed: int) -> None:
    """Machines take, beat, fail, complete and vanish as chance has it; records come in any order of rows, within minutes."""
    chance = random.Random(seed)
    watch = Watch(Platform(package=chance.choice([SINGLE, FORK, GATHER])))
    watch.endpoint()
    machines = [Machine(watch.platform) for _ in range(3)]
    held: list[tuple[Machine, UnitGrant]] = []
    for _ in range(150):
        act = chance.randrange(7)
        if act == 0 and len(watch.platform.ports.world.jobs) < 3:
            watch.platform.submit()
        elif act == 1:
            _take(chance.choice(machines), held)
        elif act == 2 and held:
            _end(chance, *held.pop(chance.randrange(len(held))))
        elif act == 3 and held:
            held.pop()
        elif act == 4:
            for machine, grant in held:
                machine.heartbeat(grant)
        elif act == 5:
            watch.settle_watched()
            watch.platform.tick(chance.choice([1, LEASE_SECONDS, 900]))
        elif watch.platform.stream.rows:
            watch.platform.deliver(chance.choice(watch.platform.stream.rows))
        assert watch.look() == {}
    look_for_hours(watch)


def _take(machine: Machine, held: list[tuple[Machine, UnitGrant]]) -> None:
    bell = machine.receive()
    if bell is not None:
        try:
            held.append((machine, machine.claim(bell)))
        except Conflict:
            return


def _end(chance: random.Random, machine: Machine, grant: UnitGrant) -> None:
    code = chance.choice([None, None, FailureCode.INPUT_UNAVAILABLE, FailureCode.SCRIPT_FAILED])
    try:
        if code is None:
            machine.complete(grant)
        else:
            machine.fail(grant, code)
    except Conflict:
        return
