"""The stream of ``jobs`` on the real adapters."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from functions.on_job_written.handler import handler
from gpupool import bootstrap
from gpupool.jobs.model import JobStatus
from gpupool.transitions.store import Ending
from tests.factories import CUSTOMER_ID, NOW, a_grant, a_unit
from tests.functional.steps import given_a_running_job, sequence_number, told
from tests.support.events import FakeLambdaContext
from tests.support.executions import Executions, deployed_with_executions
from tests.support.work import JOB_ID

Load = Callable[[str], dict[str, Any]]
NO_FAILURES = {"batchItemFailures": []}


@pytest.fixture
def executions(monkeypatch: pytest.MonkeyPatch) -> Iterator[Executions]:
    with deployed_with_executions(monkeypatch) as found:
        yield found


def test_a_new_job_starts_its_execution_once(executions: Executions, load_event: Load) -> None:
    for _ in range(2):
        assert handler(load_event("on_job_written.created"), FakeLambdaContext()) == NO_FAILURES

    assert executions.names() == [JOB_ID]


def test_a_cancel_wakes_the_execution(executions: Executions, load_event: Load) -> None:
    given_a_running_job(a_unit())
    bootstrap.ports().jobs.park(JOB_ID, task_token=executions.start(JOB_ID), entered="00001")
    bootstrap.ports().jobs.request_cancel(JOB_ID, at=NOW)

    for _ in range(2):
        assert handler(load_event("on_job_written.cancel_requested"), FakeLambdaContext()) == NO_FAILURES

    assert executions.outcome(JOB_ID) == "cancelled"


def test_the_token_of_now_is_woken_and_not_that_of_the_record(executions: Executions, load_event: Load) -> None:
    given_a_running_job(a_unit())
    event = load_event("on_job_written.cancel_requested")
    token = executions.start(JOB_ID)
    assert event["Records"][0]["dynamodb"]["NewImage"]["task_token"] != {"S": token}
    bootstrap.ports().jobs.park(JOB_ID, task_token=token, entered="00001")
    bootstrap.ports().jobs.request_cancel(JOB_ID, at=NOW)

    assert handler(event, FakeLambdaContext()) == NO_FAILURES

    assert executions.outcome(JOB_ID) == "cancelled"


def test_a_cancel_of_a_job_that_has_ended_or_never_waited_wakes_nobody(executions: Executions, load_event: Load) -> None:
    job = given_a_running_job(a_unit())
    assert handler(load_event("on_job_written.cancel_requested"), FakeLambdaContext()) == NO_FAILURES
    bootstrap.ports().transitions.close(job, Ending(JobStatus.CANCELLED, None, None, NOW))
    assert handler(load_event("on_job_written.cancel_requested"), FakeLambdaContext()) == NO_FAILURES


def test_other_writes_start_and_wake_nothing(executions: Executions, load_event: Load) -> None:
    given_a_running_job(a_unit())
    bootstrap.ports().jobs.park(JOB_ID, task_token=executions.start("some-execution"), entered="00001")

    assert handler(load_event("on_job_written.nothing_to_do"), FakeLambdaContext()) == NO_FAILURES

    assert executions.names() == ["some-execution"]


def test_a_record_that_cannot_be_acted_on_is_delivered_again(
    executions: Executions, load_event: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_MACHINE_ARN", "arn:aws:states:us-east-1:123456789012:stateMachine:gone")
    event = load_event("on_job_written.created")

    answer = handler(event, FakeLambdaContext())

    assert answer == {"batchItemFailures": [{"itemIdentifier": sequence_number(event, 0)}]}


def test_a_new_job_is_told_and_few_credits_are_warned_of_once(executions: Executions, load_event: Load) -> None:
    bootstrap.ports().ledger.post(a_grant(amount=40))
    for _ in range(2):
        assert handler(load_event("on_job_written.created"), FakeLambdaContext()) == NO_FAILURES

    (created, job), (warned, credits) = told()
    assert (created, job) == ("job.created", {"name": "digits", "status": "queued", "credits_held": 30})
    assert (warned, credits) == ("credits.low", {"available": 40, "threshold": 100})


def test_a_job_of_somebody_with_credits_warns_of_nothing(executions: Executions, load_event: Load) -> None:
    bootstrap.ports().ledger.post(a_grant(customer_id=CUSTOMER_ID, amount=100))

    assert handler(load_event("on_job_written.created"), FakeLambdaContext()) == NO_FAILURES

    assert [kind for kind, _ in told()] == ["job.created"]


def test_a_job_that_starts_and_fails_tells_both_with_the_cause(executions: Executions, load_event: Load) -> None:
    for case in ("started", "ended", "started"):
        assert handler(load_event(f"on_job_written.{case}"), FakeLambdaContext()) == NO_FAILURES

    (started, begun), (failed, end) = told()
    assert (started, begun["units_total"]) == ("job.started", 3)
    assert (failed, end["units_completed"], end["credits_spent"]) == ("job.failed", 0, 0)
    assert end["failure"] == {
        "code": "SCRIPT_FAILED",
        "blame": "user",
        "message": "The script ended with exit code 1.",
        "exit_code": 1,
        "unit_id": a_unit(0).id,
    }
    assert executions.names() == []
