"""From an event's stream record to an attempt, on the real adapters: fan-out, the queue, the sender and the sweep."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from functions.deliver_webhook.handler import handler as deliver_webhook
from functions.on_event_written.handler import handler as on_event_written
from functions.sweep_webhooks.handler import handler as sweep_webhooks
from gpupool import aws, bootstrap
from gpupool.events.model import EventType
from gpupool.settings import settings
from gpupool.webhooks.memory import MemorySender
from gpupool.webhooks.model import Delivery, DeliveryStatus, Endpoint
from gpupool.webhooks.sender import Outcome
from tests.factories import CUSTOMER_ID
from tests.support.deployment import deployed
from tests.support.events import FakeLambdaContext

Load = Callable[[str], dict[str, Any]]
NO_FAILURES = {"batchItemFailures": []}


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """A customer's webhook, whose receiver answers 500."""
    with deployed(monkeypatch):
        bootstrap.ports().sender = MemorySender(lambda _sent: Outcome(3, status_code=500))
        yield (
            bootstrap.build_webhooks(bootstrap.ports())
            .create(
                CUSTOMER_ID,
                url="https://receiver.example/hook",
                events=frozenset({EventType.JOB_COMPLETED}),
                description="",
                idempotency_key=None,
            )
            .endpoint
        )


def messages() -> list[str]:
    url = settings().webhook_queue_url
    found = aws.sqs().receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [message["Body"] for message in found]


def only_delivery(endpoint: Endpoint) -> Delivery:
    (delivery,) = bootstrap.ports().webhooks.deliveries(endpoint.id, limit=10, key=None).items
    return delivery


def attempt(load_event: Load, body: str) -> dict[str, Any]:
    event = load_event("deliver_webhook.attempt")
    event["Records"][0]["body"] = body
    return event


def test_an_event_becomes_a_delivery_and_a_message_once(endpoint: Endpoint, load_event: Load) -> None:
    for _ in range(2):
        assert on_event_written(load_event("on_event_written.job_completed"), FakeLambdaContext()) == NO_FAILURES

    delivery = only_delivery(endpoint)
    assert (delivery.sequence, json.loads(delivery.body)["data"]["units_completed"]) == (1, 3)
    assert {json.loads(body)["delivery_id"] for body in messages()} == {delivery.id}


def test_an_attempt_notes_its_outcome_and_the_next_one_waits_in_the_queue(endpoint: Endpoint, load_event: Load) -> None:
    on_event_written(load_event("on_event_written.job_completed"), FakeLambdaContext())
    (body,) = messages()

    assert deliver_webhook(attempt(load_event, body), FakeLambdaContext()) == NO_FAILURES
    # The same message again: the attempt was made.
    assert deliver_webhook(attempt(load_event, body), FakeLambdaContext()) == NO_FAILURES

    delivery = only_delivery(endpoint)
    assert [(made.number, made.status_code) for made in delivery.attempts] == [(1, 500)]
    assert delivery.status is DeliveryStatus.PENDING
    assert delivery.due_at is not None
    assert delivery.due_at - delivery.attempts[0].at <= timedelta(seconds=6)


def test_a_body_that_names_no_attempt_is_let_go(endpoint: Endpoint, load_event: Load) -> None:
    assert deliver_webhook(load_event("deliver_webhook.not_an_attempt"), FakeLambdaContext()) == NO_FAILURES
    assert deliver_webhook(load_event("deliver_webhook.attempt"), FakeLambdaContext()) == NO_FAILURES


def test_the_sweep_rings_for_what_is_due_and_was_forgotten(endpoint: Endpoint, load_event: Load) -> None:
    on_event_written(load_event("on_event_written.job_completed"), FakeLambdaContext())
    lost = messages()
    assert len(lost) == 1

    assert sweep_webhooks(load_event("sweep_webhooks.scheduled"), FakeLambdaContext()) == {"rung": 1}

    assert messages() == lost


def test_messages_are_grouped_by_customer_so_that_one_with_many_delays_nobody_else(
    endpoint: Endpoint, load_event: Load
) -> None:
    on_event_written(load_event("on_event_written.job_completed"), FakeLambdaContext())

    found = aws.sqs().receive_message(QueueUrl=settings().webhook_queue_url, MessageSystemAttributeNames=["MessageGroupId"])

    assert [message["Attributes"]["MessageGroupId"] for message in found["Messages"]] == [CUSTOMER_ID]
