"""Of a wide job, only so many units are released at a time, and the next ones as these are done."""

from datetime import timedelta

import pytest

from gpupool.clock import FixedClock
from gpupool.jobs.model import Job, JobStatus
from gpupool.ledger.model import EntryKind
from gpupool.twins import MemoryPorts
from gpupool.units.model import UnitStatus
from gpupool.workflow.model import Outcome
from tests.factories import CUSTOMER_ID, dag
from tests.platform import At, Machine, Platform

WINDOW = 8
WIDE = dag(*[()] * 60)
FORK = dag((), *[(0,)] * 60, tuple(range(1, 61)))
# Lanes of two, and a result of each two lanes.
LANES = dag(*[()] * 40, *[(at,) for at in range(40)], *[(40 + at, 41 + at) for at in range(0, 40, 2)])


def a_platform(package: str) -> tuple[Platform, Job]:
    settings = MemoryPorts(clock=FixedClock()).settings.model_copy(update={"release_window": WINDOW})
    platform = Platform(package=package, credits=100_000, settings=settings)
    platform.ports.limits.set_maxima(CUSTOMER_ID, live_jobs=None, units_per_day=1_000)
    job = platform.submit(max_runtime_seconds=60)
    platform.settle()
    return platform, job


def count(platform: Platform, job: Job, *statuses: UnitStatus) -> int:
    return sum(unit.status in statuses for unit in platform.units(job))


def released(platform: Platform, job: Job) -> int:
    return count(platform, job, UnitStatus.QUEUED, UnitStatus.RUNNING)


def test_of_many_ready_units_only_a_windowful_is_released() -> None:
    platform, job = a_platform(WIDE)
    assert (released(platform, job), count(platform, job, UnitStatus.WAITING)) == (WINDOW, 60 - WINDOW)
    assert platform.bells() == WINDOW
    assert platform.executions[job.id].at is At.WAITING


@pytest.mark.parametrize("package", [WIDE, FORK, LANES])
def test_a_job_wider_than_its_window_runs_to_its_end(package: str) -> None:
    platform, job = a_platform(package)
    machine = Machine(platform)
    most = 0
    while platform.job(job).is_live:
        machine.complete(machine.take())
        platform.settle()
        most = max(most, released(platform, job))

    assert platform.job(job).status is JobStatus.COMPLETED
    assert len(platform.posted(EntryKind.DEBIT)) == len(platform.units(job))
    # A lane's second unit may stand behind every first one, and those are let in before it is seen.
    assert most <= (3 if package is LANES else 2) * WINDOW
    platform.check_books()


def test_machines_never_run_out_of_work_while_units_are_held_back() -> None:
    platform, job = a_platform(WIDE)
    machine = Machine(platform)
    while count(platform, job, UnitStatus.WAITING):
        assert released(platform, job) >= WINDOW // 2
        machine.complete(machine.take())
        platform.settle()


def test_more_is_released_where_more_machines_work_on_the_job() -> None:
    platform, job = a_platform(WIDE)
    machine = Machine(platform)
    grants = [machine.take() for _ in range(WINDOW)]

    platform.executions[job.id].time_out()
    platform.settle()

    assert released(platform, job) == WINDOW + WINDOW // 2
    assert {unit.status for unit in platform.units(job)[: len(grants)]} == {UnitStatus.RUNNING}


def test_a_round_begins_behind_what_is_completed() -> None:
    platform, job = a_platform(WIDE)
    machine = Machine(platform)
    for _ in range(20):
        machine.complete(machine.take())
        platform.settle()

    platform.executions[job.id].time_out()
    platform.settle()

    window = platform.job(job).window
    assert window is not None
    # Those under way are passed as stragglers, up to the first that is held back.
    assert (window.low, window.high) == (20 + WINDOW, 20 + WINDOW)
    assert window.stragglers == frozenset(range(20, 20 + WINDOW))


def test_a_fan_out_stays_noted_until_all_it_opens_is_released() -> None:
    platform, job = a_platform(FORK)
    machine = Machine(platform)
    machine.complete(machine.take())
    platform.settle()
    assert (released(platform, job), platform.job(job).fan_outs) == (WINDOW, frozenset({0}))

    while count(platform, job, UnitStatus.WAITING) > 1:
        machine.complete(machine.take())
        platform.settle()

    assert platform.job(job).fan_outs == frozenset()


def test_a_completion_whose_record_was_lost_is_found_behind_the_window() -> None:
    platform, job = a_platform(WIDE)
    machine = Machine(platform)
    for at in range(12):
        grant = machine.take()
        machine.complete(grant)
        if at == 0:
            while platform.stream.pending(grant.unit_id):
                platform.stream.take(grant.unit_id)
        platform.settle()
    platform.tick(3_601)

    platform.executions[job.id].time_out()
    platform.settle()

    assert len(platform.posted(EntryKind.DEBIT)) == 12
    platform.check_books()


def test_units_that_wait_for_a_free_machine_are_not_given_up_while_others_are_served() -> None:
    platform, job = a_platform(WIDE)
    machine = Machine(platform)
    for _ in range(3):
        platform.tick(timedelta(hours=20).total_seconds())
        machine.complete(machine.take())
        platform.settle()
    platform.tick(timedelta(hours=20).total_seconds())

    platform.executions[job.id].time_out()
    platform.settle()
    assert platform.job(job).is_live

    platform.tick(timedelta(hours=5).total_seconds())
    platform.executions[job.id].time_out()
    platform.settle()
    assert platform.job(job).status is JobStatus.FAILED
    platform.check_books()


def test_a_class_without_machines_holds_up_no_other() -> None:
    gpu = '[[units]]\nname = "g{}"\nentry = "train.py"\nkind = "gpu"\nrequired_vram_mb = 20000\n'
    cpu = '[[units]]\nname = "c{}"\nentry = "train.py"\nkind = "cpu"\n'
    package = (
        '[strategy]\nkind = "dag"\n' + "".join(gpu.format(at) for at in range(20)) + "".join(cpu.format(at) for at in range(20))
    )
    platform, job = a_platform(package)
    assert released(platform, job) == 2 * WINDOW

    assert Machine(platform).work_off() == 20

    assert released(platform, job) == WINDOW
    assert count(platform, job, UnitStatus.WAITING) == 20 - WINDOW


def test_one_slow_unit_lets_rounds_begin_behind_it() -> None:
    platform, job = a_platform(WIDE)
    slow = Machine(platform)
    slow.take()
    machine = Machine(platform)
    for _ in range(30):
        machine.complete(machine.take())
        platform.settle()

    window = platform.job(job).window
    assert window is not None
    assert window.low > 25
    assert 0 in window.stragglers


def test_a_job_is_looked_at_soon_after_much_of_it_was_released() -> None:
    platform, job = a_platform(WIDE)
    execution = platform.executions[job.id]
    assert execution.state.outcome is Outcome.WATCH

    machine = Machine(platform)
    while execution.state.outcome is Outcome.WATCH:
        machine.complete(machine.take())
        platform.settle()
    assert execution.state.outcome is Outcome.ADVANCE
