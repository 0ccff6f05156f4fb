"""SQS receives on the emulator: a message wakes a waiting caller, and never goes to one that is gone."""

import http.client
import json
import threading
import time

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from gpupool.dispatch.model import QueueUrls
from gpupool.dispatch.sqs import SqsQueue
from gpupool.wire.units import Doorway
from local.process import REGION
from tests.local.workshop import Workshop

pytestmark = pytest.mark.stack


def _waiting_connection(workshop: Workshop, queue: str) -> http.client.HTTPConnection:
    """A connection on which a 20 s receive is under way."""
    root = workshop.emulator.root
    request = AWSRequest(
        method="POST",
        url=f"{root.endpoint}/",
        data=json.dumps({"QueueUrl": queue, "WaitTimeSeconds": 20}),
        headers={"X-Amz-Target": "AmazonSQS.ReceiveMessage", "Content-Type": "application/x-amz-json-1.0"},
    )
    SigV4Auth(Credentials(root.access_key_id, root.secret_access_key), "sqs", REGION).add_auth(request)
    connection = http.client.HTTPConnection("127.0.0.1", workshop.emulator.running.port)
    connection.request("POST", "/", body=request.body, headers=dict(request.headers))
    return connection


def test_message_does_not_go_to_a_caller_that_is_gone(workshop: Workshop) -> None:
    queue, _ = workshop.queue()
    gone = _waiting_connection(workshop, queue)
    threading.Event().wait(0.3)  # so that the emulator has the receive under way before its caller leaves
    gone.close()

    sqs = workshop.client("sqs")
    threading.Event().wait(0.3)
    sqs.send_message(QueueUrl=queue, MessageBody="work")
    threading.Event().wait(0.5)  # several of the emulator's looks at the queue

    assert sqs.receive_message(QueueUrl=queue).get("Messages")


def test_message_wakes_a_waiting_caller(workshop: Workshop) -> None:
    queue, _ = workshop.queue()
    waiting = _waiting_connection(workshop, queue)
    threading.Event().wait(0.3)

    sent = time.monotonic()
    workshop.client("sqs").send_message(QueueUrl=queue, MessageBody="work")
    messages = json.loads(waiting.getresponse().read())["Messages"]

    assert [message["Body"] for message in messages] == ["work"]
    assert time.monotonic() - sent < 1.0


def test_receipt_proves_that_the_bell_was_heard(workshop: Workshop) -> None:
    """A made-up receipt, an overtaken one and that of a deleted message are refused; one that merely expired is not."""
    url, _ = workshop.queue()
    sqs = workshop.client("sqs")
    queue = SqsQueue(sqs, QueueUrls({"public-cpu": url}))
    sqs.send_message(QueueUrl=url, MessageBody="work")

    def receive() -> Doorway:
        [message] = sqs.receive_message(QueueUrl=url, VisibilityTimeout=30)["Messages"]
        return Doorway(queue_url=url, receipt_handle=message["ReceiptHandle"])

    assert not queue.hide(Doorway(queue_url=url, receipt_handle="made-up"), seconds=30)
    first = receive()
    assert queue.hide(first, seconds=0)
    assert queue.hide(first, seconds=0)
    second = receive()
    assert not queue.hide(first, seconds=0)
    assert queue.hide(second, seconds=30)
    queue.silence(second)
    assert not queue.hide(second, seconds=30)
