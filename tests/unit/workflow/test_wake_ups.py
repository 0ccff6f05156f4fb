"""No wake-up is lost, whatever falls between parking the token and reading the rows."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from gpupool.jobs.model import JobStatus
from gpupool.units.memory import MemoryUnitStore
from gpupool.units.model import Unit
from gpupool.workflow.memory import MemoryExecutions
from gpupool.workflow.model import Outcome
from gpupool.workflow.service import TrainingWorkflow
from gpupool.workflow.settle import Settlement
from tests.factories import dag
from tests.platform import At, Machine, Platform


class Meddling(MemoryUnitStore):
    """Lets something happen right before, or right after, a job's units are read."""

    before: Callable[[], None] = staticmethod(lambda: None)
    after: Callable[[], None] = staticmethod(lambda: None)

    def all_of(self, job_id: str) -> tuple[Unit, ...]:
        self.before()
        units = super().all_of(job_id)
        self.after()
        return units


def meddled(platform: Platform) -> tuple[TrainingWorkflow, Meddling]:
    """The platform's workflow over a store that can be meddled with."""
    ports = platform.ports
    units = Meddling(ports.world)
    workflow = TrainingWorkflow(
        jobs=ports.jobs,
        units=units,
        uploads=ports.uploads,
        transitions=ports.transitions,
        executions=ports.executions,
        settlement=Settlement(transitions=ports.transitions, units=units, clock=ports.clock),
        clock=ports.clock,
    )
    return workflow, units


def a_fork(*, delivered: bool = False) -> tuple[Platform, str]:
    """Two roots that a third unit needs, both claimed and one of them completed; the execution is about to advance."""
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
    workflow, units = meddled(platform)
    platform.executions[job_id].workflow = workflow
    completed = next(row for row in platform.stream.rows if "." in row)
    meddle_once(units, moment, lambda: drain(platform, completed))

    platform.step(platform.executions[job_id])
    units.before = units.after = lambda: None
    platform.settle()

    assert [str(unit.status) for unit in platform.ports.units.all_of(job_id)] == ["completed", "completed", "queued"]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_cancel_around_the_read_is_not_lost(moment: str) -> None:
    platform, job_id = a_fork(delivered=True)
    workflow, units = meddled(platform)
    platform.executions[job_id].workflow = workflow

    def cancel() -> None:
        platform.ports.jobs.request_cancel(job_id, at=platform.clock.now())
        drain(platform, job_id)

    meddle_once(units, moment, cancel)

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
    workflow, units = meddled(platform)
    execution.workflow = workflow
    meddle_once(units, moment, lambda: drain(platform, grant.unit_id))

    platform.step(execution)
    platform.settle()

    assert platform.job(job).status is JobStatus.COMPLETED


def meddle_once(units: Meddling, moment: str, act: Callable[[], None]) -> None:
    def once() -> None:
        units.before = units.after = lambda: None
        act()

    setattr(units, moment, once)


def drain(platform: Platform, row: str) -> None:
    while row in platform.stream.rows:
        platform.deliver(row)


def test_the_token_is_parked_before_anything_is_read() -> None:
    platform, job_id = a_fork()
    workflow, units = meddled(platform)
    seen: list[str | None] = []
    units.before = lambda: seen.append(platform.ports.world.jobs[job_id].task_token)

    workflow.advance(job_id, "the new token", entered="00009")

    assert seen[0] == "the new token"


def test_a_wake_up_for_an_old_wait_is_ignored() -> None:
    platform, job_id = a_fork(delivered=True)
    execution = platform.executions[job_id]
    old = execution.tokens[-1]
    platform.step(execution)
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
    before = [platform.ports.units.open_edge(f"{job.id}.00002", need=need) for need in (0, 1)]

    for row in rows:
        drain(platform, row)
    platform.settle()

    assert [sorted(unit.open_needs) for unit in before] == [[1], []]
    third = platform.units(job)[2]
    assert (str(third.status), third.attempt) == ("queued", 0)
    assert platform.bells() == 1


def test_two_executions_of_advance_release_a_unit_once() -> None:
    platform, job_id = a_fork(delivered=True)
    workflow, units = meddled(platform)
    meddle_once(units, "after", lambda: platform.workflow.advance(job_id, "the other", entered="00009"))

    workflow.advance(job_id, "this one", entered="00009")

    queued = [change for change in platform.stream.pending(f"{job_id}.00002") if str(change.after.status) == "queued"]
    assert len(queued) == 1


def test_an_unknown_job_answers_the_token_instead_of_waiting_for_ever() -> None:
    platform = Platform()

    platform.workflow.advance("no-such-job", "token", entered="00001")

    assert isinstance(platform.ports.executions, MemoryExecutions)
    assert list(platform.ports.executions.resumed) == [("token", Outcome.FAILED)]


def test_planning_again_writes_nothing_new() -> None:
    platform = Platform()
    job = platform.submit()
    platform.deliver(job.id)
    assert platform.workflow.plan(job.id) is Outcome.ADVANCE
    units, running = platform.units(job), platform.job(job)
    platform.tick(60)

    assert platform.workflow.plan(job.id) is Outcome.ADVANCE

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

    assert platform.workflow.plan(job.id) is Outcome.ADVANCE

    assert [unit.name for unit in platform.units(job)] == ["prepare", "train", "package"]
    assert platform.job(job).status is JobStatus.RUNNING
