"""The queue's two implementations answer alike, as far as the port shows it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from gpupool.clock import FixedClock
from gpupool.dispatch.memory import MemoryQueue
from gpupool.dispatch.model import QueueUrls
from gpupool.dispatch.queue import Queue
from gpupool.dispatch.sqs import SqsQueue
from gpupool.errors import ValidationFailed
from gpupool.units.model import Pool
from gpupool.wire.joining import Doorbell
from gpupool.wire.units import Doorway
from gpupool.wire.vocabulary import CapabilityClass
from tests.contract.both import Cloud

MOST_RECEIVES = 4
BELL = Doorbell(job_id="job", unit_id="job.00001", attempt=0)


@dataclass
class Street:
    """A queue under test, the address of one of its doors, and what a node would receive there."""

    queue: Queue
    url: str
    receive: Callable[[], tuple[Doorbell, Doorway] | None]


def _memory() -> Street:
    url = "https://sqs.us-east-1.amazonaws.com/123456789012/gpupool-public-cpu"
    queue = MemoryQueue(urls=QueueUrls({"public-cpu": url}), clock=FixedClock(), max_receives=MOST_RECEIVES)

    def receive() -> tuple[Doorbell, Doorway] | None:
        received = queue.receive(url)
        return (received.bell, received.doorway) if received else None

    return Street(queue, url, receive)


def _sqs(client: Any, name: str) -> Street:
    dead_letters = client.create_queue(QueueName=f"{name}-dlq")["QueueUrl"]
    arn = client.get_queue_attributes(QueueUrl=dead_letters, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": MOST_RECEIVES})
    attributes = {"VisibilityTimeout": "30", "RedrivePolicy": policy}
    url = client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def receive() -> tuple[Doorbell, Doorway] | None:
        messages = client.receive_message(QueueUrl=url).get("Messages", [])
        if not messages:
            return None
        doorway = Doorway(queue_url=url, receipt_handle=messages[0]["ReceiptHandle"])
        return Doorbell.model_validate_json(messages[0]["Body"]), doorway

    return Street(SqsQueue(client, QueueUrls({"public-cpu": url})), url, receive)


@pytest.fixture
def street(cloud: Cloud | None, prefix: str) -> Street:
    return _memory() if cloud is None else _sqs(cloud("sqs"), f"{prefix}gpupool-public-cpu")


def rung(street: Street) -> Doorway:
    street.queue.ring(street.url, BELL, group="customer")
    received = street.receive()
    assert received is not None
    return received[1]


def test_a_bell_arrives_as_it_was_rung(street: Street) -> None:
    street.queue.ring(street.url, BELL, group="customer")

    received = street.receive()

    assert received is not None
    assert received[0] == BELL


def test_a_received_bell_is_hidden_from_others(street: Street) -> None:
    rung(street)

    assert street.receive() is None


def test_a_bell_shown_again_is_received_again(street: Street) -> None:
    assert street.queue.hide(rung(street), seconds=0)

    assert street.receive() is not None


def test_a_hidden_bell_stays_hidden(street: Street) -> None:
    assert street.queue.hide(rung(street), seconds=600)

    assert street.receive() is None


def test_a_silenced_bell_never_rings_again(street: Street) -> None:
    doorway = rung(street)

    street.queue.silence(doorway)

    assert not street.queue.hide(doorway, seconds=0)

    assert street.receive() is None


def test_a_receipt_that_means_nothing_is_not_taken(street: Street) -> None:
    rung(street)
    nonsense = Doorway(queue_url=street.url, receipt_handle="nonsense")

    assert not street.queue.hide(nonsense, seconds=0)
    street.queue.silence(nonsense)

    assert street.receive() is None


def test_the_receipt_of_an_earlier_receive_changes_nothing(street: Street) -> None:
    first = rung(street)
    street.queue.hide(first, seconds=0)
    assert street.receive() is not None

    street.queue.hide(first, seconds=600)


@pytest.mark.parametrize("url", ["https://evil.example/queue", "", "http://169.254.169.254/latest/meta-data"])
def test_a_doorway_to_a_foreign_address_is_refused(street: Street, url: str) -> None:
    foreign = Doorway(queue_url=url, receipt_handle="receipt")

    with pytest.raises(ValidationFailed) as hidden:
        street.queue.hide(foreign, seconds=0)
    with pytest.raises(ValidationFailed):
        street.queue.silence(foreign)

    assert hidden.value.details == {"field": "/doorway/queue_url"}


def test_queues_are_found_by_pool_and_class(street: Street) -> None:
    assert street.queue.queue_url(Pool.PUBLIC, CapabilityClass.CPU) == street.url
    with pytest.raises(RuntimeError, match="controlled-gpu-80g"):
        street.queue.queue_url(Pool.CONTROLLED, CapabilityClass.GPU_80G)


def test_a_queue_counts_what_waits_and_what_is_hidden(street: Street) -> None:
    assert street.queue.waiting(street.url) == 0
    doorway = rung(street)
    street.queue.ring(street.url, BELL, group="customer")
    assert street.queue.waiting(street.url) == 2

    street.queue.silence(doorway)

    assert street.queue.waiting(street.url) == 1


def test_a_dead_letter_counts_as_long_as_nobody_has_seen_to_it(street: Street) -> None:
    doorway = rung(street)
    for _ in range(MOST_RECEIVES - 1):
        assert street.queue.hide(doorway, seconds=0)
        received = street.receive()
        assert received is not None
        doorway = received[1]
    assert street.queue.hide(doorway, seconds=0)

    assert street.receive() is None

    assert street.queue.waiting(street.url) == 1
