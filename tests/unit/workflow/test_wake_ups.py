"""No wake-up is lost, whatever falls between parking the token and reading the rows."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from gpupool import bootstrap
from gpupool.jobs.memory import MemoryJobStore
from gpupool.jobs.model import Job, JobStatus
from gpupool.pages import Key, Page
from gpupool.units.memory import MemoryUnitStore
from gpupool.units.model import Unit
from gpupool.workflow.memory import MemoryExecutions
from gpupool.workflow.model import Outcome, Step
from gpupool.workflow.service import TrainingWorkflow
from tests.factories import dag
from tests.platform import At, Machine, Platform


class Moments:
    """Lets something happen once, right before or right after what the execution does."""

    def __init__(self) -> None:
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None

    def at(self, moment: str, act: Callable[[], None]) -> None:
        def once() -> None:
            self.before = self.after = lambda: None
            act()

        setattr(self, moment, once)


class MeddledJobs(MemoryJobStore):
    moments: Moments

    def park(self, job_id: str, *, task_token: str, entered: str) -> Job | None:
        self.moments.before()
        job = super().park(job_id, task_token=task_token, entered=entered)
        self.moments.after()
        return job


class MeddledUnits(MemoryUnitStore):
    moments: Moments

    def page(self, job_id: str, *, limit: int, key: Key | None) -> Page[Unit]:
        self.moments.before()
        units = super().page(job_id, limit=limit, key=key)
        self.moments.after()
        return units


def parking(platform: Platform) -> tuple[TrainingWorkflow, Moments]:
    """The platform's workflow, and the moments around the parking of its token."""
    ports, moments = platform.ports, Moments()
    ports.jobs = MeddledJobs(ports.world)
    ports.jobs.moments = moments
    return bootstrap.build_workflow(ports), moments


def reading(platform: Platform) -> tuple[TrainingWorkflow, Moments]:
    """The platform's workflow, and the moments around the reading of units."""
    ports, moments = platform.ports, Moments()
    ports.units = MeddledUnits(ports.world)
    ports.units.moments = moments
    return bootstrap.build_workflow(ports), moments


def a_fork(*, delivered: bool = False) -> tuple[Platform, str]:
    """Two roots that a third unit needs, both completed and the second one's record on its way; the execution is about to go
    over the units, and then to wait."""
    platform = Platform(package=dag((), (), (0, 1)))
    job = platform.submit()
    platform.settle()
    machine = Machine(platform)
    first, second = machine.take(), machine.take()
    machine.complete(first)
    platform.settle()
    machine.complete(second)
    if delivered:
        platform.deliver(second.unit_id)
    platform.executions[job.id].time_out()
    return platform, job.id


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_edge_opened_around_the_read_is_not_lost(moment: str) -> None:
    platform, job_id = a_fork()
    platform.executions[job_id].workflow, moments = reading(platform)
    completed = next(row for row in platform.stream.rows if "." in row)
    moments.at(moment, lambda: drain(platform, completed))

    platform.step(platform.executions[job_id])
    platform.settle()

    assert [str(unit.status) for unit in platform.ports.units.all_of(job_id)] == ["completed", "completed", "queued"]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_cancel_around_the_read_is_not_lost(moment: str) -> None:
    platform, job_id = a_fork(delivered=True)
    platform.step(platform.executions[job_id])
    platform.executions[job_id].workflow, moments = parking(platform)

    def cancel() -> None:
        platform.ports.jobs.request_cancel(job_id, at=platform.clock.now())
        drain(platform, job_id)

    moments.at(moment, cancel)

    platform.step(platform.executions[job_id])
    platform.settle()

    assert platform.ports.world.jobs[job_id].status is JobStatus.CANCELLED
    platform.check_books()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_the_last_debit_around_the_read_is_not_lost(moment: str) -> None:
    platform = Platform(package=dag(()))
    job = platform.submit()
    platform.settle()
    machine = Machine(platform)
    grant = machine.take()
    machine.complete(grant)
    execution = platform.executions[job.id]
    execution.time_out()
    platform.step(execution)
    execution.workflow, moments = parking(platform)
    moments.at(moment, lambda: drain(platform, grant.unit_id))

    platform.step(execution)
    platform.settle()

    assert platform.job(job).status is JobStatus.COMPLETED


def drain(platform: Platform, row: str) -> None:
    while row in platform.stream.rows:
        platform.deliver(row)


def test_a_wake_up_for_an_old_wait_is_ignored() -> None:
    platform, job_id = a_fork(delivered=True)
    execution = platform.executions[job_id]
    old = execution.tokens[-1]
    platform.settle()
    assert execution.at is At.WAITING

    platform.ports.executions.resume(old, Outcome.FAILED)
    platform.wake()

    assert execution.at is At.WAITING


def test_fan_in_is_released_once_although_both_edges_open_at_the_same_time() -> None:
    platform = Platform(package=dag((), (), (0, 1)))
    job = platform.submit()
    platform.settle()
    machine = Machine(platform)
    for grant in (machine.take(), machine.take()):
        machine.complete(grant)
    rows = [row for row in platform.stream.rows if "." in row]
    before = [platform.ports.units.open_edge(f"{job.id}.00002", need=need, now=platform.clock.now()) for need in (0, 1)]

    for row in rows:
        drain(platform, row)
    platform.settle()

    assert [sorted(unit.open_needs) for unit in before] == [[1], []]
    third = platform.units(job)[2]
    assert (str(third.status), third.attempt) == ("queued", 0)
    assert platform.bells() == 1


def test_two_walks_at_once_release_a_unit_once() -> None:
    platform, job_id = a_fork()
    platform.ports.units.open_edge(f"{job_id}.00002", need=0, now=platform.clock.now())
    world = platform.ports.world
    world.units[job_id][f"{job_id}.00002"] = replace(world.units[job_id][f"{job_id}.00002"], open_needs=frozenset())
    workflow, moments = reading(platform)
    moments.at("after", lambda: void(platform.workflow.tend(job_id, Step(Outcome.TEND))))

    workflow.tend(job_id, Step(Outcome.TEND))

    queued = [change for change in platform.stream.pending(f"{job_id}.00002") if str(change.after.status) == "queued"]
    assert len(queued) == 1


def void(_step: Step) -> None:
    """What a step says is of no interest."""


def test_an_unknown_job_answers_the_token_instead_of_waiting_for_ever() -> None:
    platform = Platform()

    platform.workflow.advance("no-such-job", "token", entered="00001")

    assert isinstance(platform.ports.executions, MemoryExecutions)
    assert list(platform.ports.executions.resumed) == [("token", Outcome.FAILED)]


def test_planning_again_writes_nothing_new() -> None:
    platform = Platform()
    job = platform.submit()
    platform.deliver(job.id)
    assert platform.workflow.plan(job.id).outcome is Outcome.ADVANCE
    units, running = platform.units(job), platform.job(job)
    platform.tick(60)

    assert platform.workflow.plan(job.id).outcome is Outcome.TEND

    assert platform.units(job) == units
    assert platform.job(job) == running


def test_planning_that_died_half_way_is_taken_up_again() -> None:
    platform = Platform()
    job = platform.submit()
    platform.ports.jobs.begin_planning(job.id)
    whole = Platform()
    other = whole.submit()
    whole.workflow.plan(other.id)
    first = replace(whole.units(other)[0], id=f"{job.id}.00000", job_id=job.id)
    platform.ports.units.add_all((first,))

    assert platform.workflow.plan(job.id).outcome is Outcome.ADVANCE

    assert [unit.name for unit in platform.units(job)] == ["prepare", "train", "package"]
    assert platform.job(job).status is JobStatus.RUNNING
