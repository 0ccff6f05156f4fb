"""Told by EventBridge that an execution ended without closing its job."""

from collections.abc import Callable
from typing import Any

import pytest

from functions.close_job.handler import handler
from gpupool.jobs.model import JobStatus
from gpupool.units.model import UnitStatus
from gpupool.workflow.decide import outcome_of
from gpupool.workflow.model import Outcome
from tests.factories import a_lease, a_unit
from tests.functional.steps import given_a_running_job, the_job
from tests.support.events import FakeLambdaContext
from tests.support.executions import deployed_with_executions
from tests.support.work import JOB_ID

Load = Callable[[str], dict[str, Any]]
RUNNING = a_unit(0, status=UnitStatus.RUNNING, attempt=1, lease=a_lease())


def test_a_stopped_execution_fails_the_job_and_has_another_close_it(monkeypatch: pytest.MonkeyPatch, load_event: Load) -> None:
    with deployed_with_executions(monkeypatch) as executions:
        given_a_running_job(RUNNING)

        for _ in range(2):
            handler(load_event("close_job.stopped"), FakeLambdaContext())

        assert executions.names() == [f"{JOB_ID}-1"]
        assert (the_job().status, the_job().generation) == (JobStatus.RUNNING, 1)
        assert outcome_of(the_job()) is Outcome.FAILED
