"""One run of recovery on the real adapters."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.reconcile.handler import NotLookedAt, handler
from gpupool import aws, bootstrap
from gpupool.clock import FixedClock
from gpupool.dynamo import to_item
from gpupool.events.model import EventType
from gpupool.jobs.model import JobStatus
from gpupool.ledger.model import EntryKind, release
from gpupool.transitions.store import Ending
from gpupool.units.model import UnitStatus
from gpupool.wire.failures import FailureCode
from gpupool.wire.joining import Doorbell
from gpupool.workflow.model import Outcome
from tests.factories import CUSTOMER_ID, a_lease, a_unit
from tests.functional.steps import entries, given_a_job, given_a_running_job, the_job, the_unit, told
from tests.support.events import FakeLambdaContext
from tests.support.executions import Executions, deployed_with_executions
from tests.support.work import JOB_ID

Load = Callable[[str], dict[str, Any]]
START = datetime.now(UTC)
HOUR = timedelta(hours=1)
QUEUED = a_unit(0, queued_at=START)


@pytest.fixture
def executions(monkeypatch: pytest.MonkeyPatch) -> Iterator[Executions]:
    """An hour after everything that a test writes."""
    with deployed_with_executions(monkeypatch) as found:
        bootstrap.ports().clock = FixedClock(datetime.now(UTC) + HOUR)
        yield found


def found(load_event: Load) -> dict[str, int]:
    counts: dict[str, int] = handler(load_event("reconcile.scheduled"), FakeLambdaContext())["found"]
    return counts


def given_a_driven_job(executions: Executions, *units: Any) -> str:
    """A job whose execution waits; the token that it waits with."""
    given_a_running_job(*units, created_at=START)
    return executions.start(JOB_ID)


def test_without_a_job_there_is_nothing_to_do(executions: Executions, load_event: Load) -> None:
    answer = handler(load_event("reconcile.scheduled"), FakeLambdaContext())
    assert answer == {"watched": 0, "looked_at": 0, "found": {}}


def test_a_job_without_an_execution_gets_one_and_is_counted(
    executions: Executions, load_event: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    given_a_job(created_at=START)

    assert found(load_event) == {"job_without_execution": 1}

    assert executions.names() == [JOB_ID]
    counted = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert [(each["stage"], each["job_without_execution"]) for each in counted] == [("test", [1.0])]
    assert found(load_event) == {}


def test_a_job_whose_execution_is_over_fails_and_gets_another_that_closes_it(executions: Executions, load_event: Load) -> None:
    kept = a_lease(expires_at=START + 9 * HOUR)
    token = given_a_driven_job(executions, a_unit(0, status=UnitStatus.RUNNING, attempt=1, lease=kept))
    bootstrap.ports().executions.resume(token, Outcome.ADVANCE)
    assert executions.outcome(JOB_ID) == "advance"

    assert found(load_event) == {"job_without_execution": 1}

    assert executions.names() == [f"{JOB_ID}-1"]
    failure = the_job().broken
    assert failure is not None
    assert (the_job().generation, failure.code) == (1, FailureCode.INTERNAL)
    assert found(load_event) == {}


def test_a_queued_unit_beside_an_empty_queue_is_rung_for_again(executions: Executions, load_event: Load) -> None:
    given_a_driven_job(executions, QUEUED)

    assert found(load_event) == {"queued_without_message": 1}

    assert the_unit(0).rung_at == bootstrap.ports().clock.now()
    assert found(load_event) == {}


def test_a_queued_unit_whose_message_waits_or_is_hidden_is_left_alone(executions: Executions, load_event: Load) -> None:
    given_a_driven_job(executions, QUEUED)
    queue = bootstrap.ports().queue
    url = queue.queue_url(QUEUED.pool, QUEUED.capability)
    queue.ring(url, Doorbell(job_id=JOB_ID, unit_id=QUEUED.id, attempt=0), group=CUSTOMER_ID)

    assert found(load_event) == {}
    aws.sqs().receive_message(QueueUrl=url)
    assert found(load_event) == {}
    assert the_unit(0) == QUEUED


def test_a_completed_unit_is_paid_told_and_opens_what_needs_it(executions: Executions, load_event: Load) -> None:
    done = a_unit(0, status=UnitStatus.COMPLETED, credits=4, finished_at=START, dependents=(1,))
    leaf = a_unit(1, status=UnitStatus.WAITING, queued_at=None, needs=(0,), open_needs=frozenset({0}))
    given_a_driven_job(executions, done, leaf)

    assert found(load_event) == {"completed_without_debit": 1}

    assert [(entry.unit_id, entry.amount) for entry in entries(EntryKind.DEBIT)] == [(done.id, 4)]
    assert the_unit(1).open_needs == frozenset()
    assert [kind for kind, _ in told()] == ["unit.completed"]


def given_an_ended_job() -> None:
    job = given_a_job(created_at=START)
    rest = release(customer_id=CUSTOMER_ID, job_id=job.id, amount=job.quote.credits, at=START)
    bootstrap.ports().transitions.close(job, Ending(JobStatus.CANCELLED, None, rest, START))


def test_an_ended_job_is_told_delivered_and_then_let_go(executions: Executions, load_event: Load) -> None:
    later = bootstrap.ports().clock
    bootstrap.ports().clock = FixedClock(START - HOUR)
    webhook = bootstrap.build_webhooks(bootstrap.ports()).create(
        CUSTOMER_ID,
        url="https://receiver.example/hook",
        events=frozenset({EventType.JOB_CANCELLED}),
        description="",
        idempotency_key=None,
    )
    bootstrap.ports().clock = later
    given_an_ended_job()

    assert found(load_event) == {"change_without_event": 2}
    assert [kind for kind, _ in told()] == ["job.cancelled", "job.created"]
    assert found(load_event) == {"event_without_delivery": 1}
    (delivery,) = bootstrap.ports().webhooks.deliveries(webhook.endpoint.id, limit=10, key=None).items
    assert (delivery.event_id, delivery.sequence) == (f"{JOB_ID}#job.cancelled", 1)
    assert found(load_event) == {}
    assert handler(load_event("reconcile.scheduled"), FakeLambdaContext())["watched"] == 0


def test_a_hold_that_no_job_explains_is_counted_and_left(executions: Executions, load_event: Load) -> None:
    given_a_driven_job(executions, QUEUED)
    aws.dynamodb().update_item(
        TableName="ledger",
        Key=to_item({"customer_id": CUSTOMER_ID, "entry_id": "balance"}),
        UpdateExpression="ADD held :more",
        ExpressionAttributeValues=to_item({":more": 7}),
    )

    assert found(load_event)["hold_without_job"] == 1
    assert found(load_event) == {"hold_without_job": 1}
    assert bootstrap.ports().ledger.balance(CUSTOMER_ID).held == the_job().quote.credits + 7


def test_what_cannot_be_looked_at_fails_the_call_after_the_rest_was_done(
    executions: Executions, load_event: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    given_a_driven_job(executions, QUEUED)
    aws.sqs().delete_queue(QueueUrl=bootstrap.ports().settings.queue_urls["public-cpu"])
    aws.dynamodb().update_item(
        TableName="ledger",
        Key=to_item({"customer_id": CUSTOMER_ID, "entry_id": "balance"}),
        UpdateExpression="ADD held :more",
        ExpressionAttributeValues=to_item({":more": 7}),
    )

    with pytest.raises(NotLookedAt):
        found(load_event)

    assert '"hold_without_job":[1.0]' in capsys.readouterr().out
