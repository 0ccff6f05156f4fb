"""Step ``Advance`` on the real adapters, with executions that really wait."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from functions.advance_job.handler import handler
from gpupool import bootstrap
from gpupool.units.model import UnitStatus
from gpupool.workflow.decide import platform_failure
from tests.factories import NOW, a_unit
from tests.functional.steps import given_a_running_job, the_job
from tests.support.events import FakeLambdaContext
from tests.support.executions import Executions, deployed_with_executions
from tests.support.work import JOB_ID

Load = Callable[[str], dict[str, Any]]
ROOT = a_unit(0, status=UnitStatus.QUEUED)


@pytest.fixture
def executions(monkeypatch: pytest.MonkeyPatch) -> Iterator[Executions]:
    with deployed_with_executions(monkeypatch) as found:
        yield found


def test_the_token_is_parked_and_the_execution_waits(executions: Executions, load_event: Load) -> None:
    given_a_running_job(ROOT)
    token = executions.start(JOB_ID)

    assert handler(load_event("advance_job.waiting") | {"task_token": token}, FakeLambdaContext()) is None

    assert the_job().task_token == token
    assert executions.is_waiting(JOB_ID)


def test_a_retry_of_the_step_waits_with_its_own_token(executions: Executions, load_event: Load) -> None:
    given_a_running_job(ROOT)
    handler(load_event("advance_job.waiting"), FakeLambdaContext())

    handler(load_event("advance_job.waiting") | {"task_token": "another"}, FakeLambdaContext())

    assert the_job().task_token == "another"


@pytest.mark.parametrize("outcome", ["cancelled", "failed", "tend"])
def test_a_job_that_has_something_to_do_wakes_its_execution_at_once(
    executions: Executions, load_event: Load, outcome: str
) -> None:
    job, jobs = given_a_running_job(ROOT), bootstrap.ports().jobs
    if outcome == "cancelled":
        jobs.request_cancel(JOB_ID, at=NOW)
    elif outcome == "failed":
        jobs.note_failure(JOB_ID, platform_failure(job))
    else:
        jobs.note_fan_out(JOB_ID, 0)
    token = executions.start(JOB_ID)

    handler(load_event("advance_job.waiting") | {"task_token": token}, FakeLambdaContext())

    assert executions.outcome(JOB_ID) == outcome


def test_a_token_that_nobody_waits_with_any_more_is_no_error(executions: Executions, load_event: Load) -> None:
    given_a_running_job(ROOT)
    bootstrap.ports().jobs.request_cancel(JOB_ID, at=NOW)

    assert handler(load_event("advance_job.waiting"), FakeLambdaContext()) is None
