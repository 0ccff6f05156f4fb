"""Step ``Advance`` on the real adapters, with executions that really wait."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from functions.advance_job.handler import handler
from gpupool import bootstrap
from gpupool.units.model import UnitStatus
from tests.factories import NOW, a_unit
from tests.functional.steps import given_a_running_job, the_job, the_unit
from tests.support.events import FakeLambdaContext
from tests.support.executions import Executions, deployed_with_executions
from tests.support.work import JOB_ID

Load = Callable[[str], dict[str, Any]]
ROOT = a_unit(0, status=UnitStatus.WAITING, queued_at=None, dependents=(1,))
LEAF = a_unit(1, status=UnitStatus.WAITING, queued_at=None, needs=(0,), open_needs=frozenset({0}))


@pytest.fixture
def executions(monkeypatch: pytest.MonkeyPatch) -> Iterator[Executions]:
    with deployed_with_executions(monkeypatch) as found:
        yield found


def test_what_is_ready_is_released_and_the_execution_waits(executions: Executions, load_event: Load) -> None:
    given_a_running_job(ROOT, LEAF)
    event = load_event("advance_job.waiting")

    assert handler(event, FakeLambdaContext()) is None

    assert (the_unit(0).status, the_unit(1).status) == (UnitStatus.QUEUED, UnitStatus.WAITING)
    assert the_job().task_token == event["task_token"]


def test_advancing_again_releases_nothing_twice(executions: Executions, load_event: Load) -> None:
    given_a_running_job(ROOT, LEAF)
    handler(load_event("advance_job.waiting"), FakeLambdaContext())
    released = the_unit(0)

    handler(load_event("advance_job.waiting") | {"task_token": "another"}, FakeLambdaContext())

    assert the_unit(0) == released
    assert the_job().task_token == "another"


@pytest.mark.parametrize("outcome", ["cancelled", "failed"])
def test_a_job_that_is_over_wakes_its_execution_at_once(executions: Executions, load_event: Load, outcome: str) -> None:
    given_a_running_job(a_unit(0, status=UnitStatus.FAILED) if outcome == "failed" else ROOT, LEAF)
    if outcome == "cancelled":
        bootstrap.ports().jobs.request_cancel(JOB_ID, at=NOW)
    token = executions.start(JOB_ID)

    handler(load_event("advance_job.waiting") | {"task_token": token}, FakeLambdaContext())

    assert executions.outcome(JOB_ID) == outcome
    assert the_unit(1).status is UnitStatus.WAITING


def test_a_job_that_advances_keeps_its_execution_waiting(executions: Executions, load_event: Load) -> None:
    given_a_running_job(ROOT, LEAF)
    token = executions.start(JOB_ID)

    handler(load_event("advance_job.waiting") | {"task_token": token}, FakeLambdaContext())

    assert executions.is_waiting(JOB_ID)


def test_a_token_that_nobody_waits_with_any_more_is_no_error(executions: Executions, load_event: Load) -> None:
    given_a_running_job(ROOT, LEAF)
    bootstrap.ports().jobs.request_cancel(JOB_ID, at=NOW)

    assert handler(load_event("advance_job.waiting"), FakeLambdaContext()) is None
