"""Step ``Plan`` on the real adapters."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from functions.plan_job.handler import handler
from gpupool import bootstrap
from gpupool.jobs.model import JobStatus
from gpupool.transitions.store import Ending
from gpupool.units.model import UnitStatus
from tests.factories import NOW
from tests.functional.steps import given_a_job, the_job
from tests.support.deployment import deployed
from tests.support.events import FakeLambdaContext
from tests.support.work import JOB_ID

Load = Callable[[str], dict[str, Any]]


@pytest.fixture(autouse=True)
def _deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with deployed(monkeypatch):
        yield


def test_a_new_job_is_planned(load_event: Load) -> None:
    given_a_job()

    answer = handler(load_event("plan_job.new_job"), FakeLambdaContext())

    assert answer == {"outcome": "advance", "cursor": "", "steps": 2, "generation": 0}
    units = bootstrap.ports().units.all_of(JOB_ID)
    assert [(unit.name, unit.status) for unit in units] == [
        ("prepare", UnitStatus.QUEUED),
        ("train", UnitStatus.WAITING),
        ("package", UnitStatus.WAITING),
    ]
    assert (the_job().status, the_job().units_total) == (JobStatus.RUNNING, 3)


def test_planning_again_changes_nothing(load_event: Load) -> None:
    given_a_job()
    handler(load_event("plan_job.new_job"), FakeLambdaContext())
    units, job = bootstrap.ports().units.all_of(JOB_ID), the_job()

    answer = handler(load_event("plan_job.new_job"), FakeLambdaContext())

    assert answer["outcome"] == "tend"
    assert (bootstrap.ports().units.all_of(JOB_ID), the_job()) == (units, job)


def test_a_job_that_was_cancelled_before_is_not_planned(load_event: Load) -> None:
    given_a_job()
    bootstrap.ports().jobs.request_cancel(JOB_ID, at=NOW)

    answer = handler(load_event("plan_job.new_job"), FakeLambdaContext())

    assert answer["outcome"] == "cancelled"
    assert bootstrap.ports().units.all_of(JOB_ID) == ()


def test_an_ended_job_stays_ended(load_event: Load) -> None:
    job = given_a_job()
    bootstrap.ports().transitions.close(job, Ending(JobStatus.FAILED, None, None, NOW))

    assert handler(load_event("plan_job.new_job"), FakeLambdaContext())["outcome"] == "failed"


def test_a_job_that_is_not_there_is_an_error_that_the_workflow_sees(load_event: Load) -> None:
    with pytest.raises(LookupError):
        handler(load_event("plan_job.new_job"), FakeLambdaContext())
