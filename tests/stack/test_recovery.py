"""Recovery on the deployed stack, with its own rights: it looks, and finds what is broken by hand."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.bringup import LocalStack
from tests.stack import packages
from tests.stack.customers import Customer, Json
from tests.stack.waiting import eventually

pytestmark = pytest.mark.stack
QUEUE = "gpupool-controlled-gpu-16g"  # no other test rings here, and no machine of theirs answers


def reconcile(stack: LocalStack) -> Json:
    answer = stack.account.client("lambda").invoke(FunctionName="gpupool-reconcile", Payload=b"{}")
    said = answer["Payload"].read().decode()
    assert "FunctionError" not in answer, said
    found: Json = json.loads(said)
    return found


def messages(stack: LocalStack) -> int:
    sqs = stack.account.client("sqs")
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(map(int, found.values()))


def backdate(stack: LocalStack, table: str, key: dict[str, str], attribute: str) -> None:
    """As if it had been an hour ago."""
    at: Any = {":at": {"S": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}}
    stack.account.client("dynamodb").update_item(
        TableName=table,
        Key={name: {"S": value} for name, value in key.items()},
        UpdateExpression="SET #at = :at",
        ExpressionAttributeNames={"#at": attribute},
        ExpressionAttributeValues=at,
    )


def test_a_message_that_was_lost_is_sent_again(local_stack: LocalStack, customer: Customer, desk: Path) -> None:
    job = customer.train(packages.for_a_gpu(), desk, required_vram_mb=10_000, sensitivity="low_sensitive")
    eventually(lambda: messages(local_stack) == 1, what="the unit's message")
    (unit,) = customer.client.units(job["id"])
    backdate(local_stack, "jobs", {"job_id": job["id"]}, "created_at")
    backdate(local_stack, "units", {"job_id": job["id"], "unit_id": unit["id"]}, "queued_at")

    looked = reconcile(local_stack)

    assert looked["looked_at"] >= 1
    assert "queued_without_message" not in looked["found"]
    assert messages(local_stack) == 1
    sqs = local_stack.account.client("sqs")
    sqs.purge_queue(QueueUrl=sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"])

    reconcile(local_stack)

    eventually(lambda: messages(local_stack) == 1, what="another message for the unit")
    customer.ask("POST", f"/training-jobs/{job['id']}/cancel")
    assert customer.ended(job)["status"] == "cancelled"
