"""DynamoDB stream mappings on the emulator: bisect, retries, on-failure destination, partial batches, independence."""

import json
from typing import Any

import pytest

from tests.local.workshop import Workshop, eventually

pytestmark = pytest.mark.stack

NOTE = """
    import boto3, json
    def handler(event, context):
        records = event["Records"]
        names = [record["dynamodb"]["Keys"]["pk"]["S"] for record in records]
        boto3.client("sqs").send_message(QueueUrl="%s", MessageBody=json.dumps(names))
        bad = [record for record in records if record["dynamodb"]["Keys"]["pk"]["S"].startswith("bad")]
        if bad and %r:
            return {"batchItemFailures": [{"itemIdentifier": bad[0]["dynamodb"]["SequenceNumber"]}]}
        if bad:
            raise ValueError("poisoned")
"""


def _mapping(workshop: Workshop, *, partial: bool, **options: Any) -> tuple[str, str]:
    """Table to write to, URL of the queue that notes each batch. The mapping starts once the writes are there."""
    table, stream = workshop.streamed_table()
    notes, _ = workshop.queue()
    function = workshop.function(NOTE % (notes, partial))
    extra = {"FunctionResponseTypes": ["ReportBatchItemFailures"]} if partial else {}
    dynamodb = workshop.client("dynamodb")
    for name in ("good-1", "good-2", "bad-3", "good-4"):
        dynamodb.put_item(TableName=table, Item={"pk": {"S": name}})
    workshop.client("lambda").create_event_source_mapping(
        EventSourceArn=stream, FunctionName=function, StartingPosition="TRIM_HORIZON", BatchSize=10, **extra, **options
    )
    return table, notes


def _batches(workshop: Workshop, notes: str, *, until: str) -> list[list[str]]:
    """Every batch that the function saw, in order, up to the first that holds `until` alone or last."""
    sqs = workshop.client("sqs")
    seen: list[list[str]] = []

    def done() -> bool:
        for message in sqs.receive_message(QueueUrl=notes, MaxNumberOfMessages=10).get("Messages", []):
            seen.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=notes, ReceiptHandle=message["ReceiptHandle"])
        return any(batch[-1] == until and "bad-3" not in batch for batch in seen)

    eventually(done, seconds=30)
    return seen


def test_poisoned_record_is_isolated_retried_given_up_and_described(workshop: Workshop) -> None:
    letters, destination = workshop.queue()
    _, notes = _mapping(
        workshop,
        partial=False,
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=2,
        DestinationConfig={"OnFailure": {"Destination": destination}},
    )

    batches = _batches(workshop, notes, until="good-4")

    assert batches[0] == ["good-1", "good-2", "bad-3", "good-4"]
    assert batches.count(["bad-3"]) == 3  # the first try and two retries
    assert ["good-4"] in batches
    letter = workshop.client("sqs").receive_message(QueueUrl=letters, WaitTimeSeconds=2)["Messages"][0]
    body = json.loads(letter["Body"])
    assert body["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert body["DDBStreamBatchInfo"]["batchSize"] == 1


def test_partial_batch_response_resumes_at_the_reported_record(workshop: Workshop) -> None:
    _, notes = _mapping(workshop, partial=True, MaximumRetryAttempts=1, BisectBatchOnFunctionError=True)

    batches = _batches(workshop, notes, until="good-4")

    assert sum("good-1" in batch for batch in batches) == 1
    assert all(batch[0] == "bad-3" for batch in batches[1:-1])


def test_blocked_stream_does_not_hold_up_another(workshop: Workshop) -> None:
    _mapping(workshop, partial=False)  # retries its poisoned record for ever
    table, stream = workshop.streamed_table()
    notes, _ = workshop.queue()
    workshop.client("lambda").create_event_source_mapping(
        EventSourceArn=stream, FunctionName=workshop.function(NOTE % (notes, False)), StartingPosition="TRIM_HORIZON"
    )

    workshop.client("dynamodb").put_item(TableName=table, Item={"pk": {"S": "free"}})

    assert _batches(workshop, notes, until="free") == [["free"]]


def test_position_survives_a_restart(workshop: Workshop) -> None:
    table, stream = workshop.streamed_table()
    notes, _ = workshop.queue()
    workshop.client("lambda").create_event_source_mapping(
        EventSourceArn=stream, FunctionName=workshop.function(NOTE % (notes, False)), StartingPosition="TRIM_HORIZON"
    )
    workshop.client("dynamodb").put_item(TableName=table, Item={"pk": {"S": "before"}})
    assert _batches(workshop, notes, until="before") == [["before"]]

    workshop.emulator.restart()
    workshop.client("dynamodb").put_item(TableName=table, Item={"pk": {"S": "after"}})

    assert _batches(workshop, notes, until="after") == [["after"]]


def test_undelivered_record_survives_a_restart(workshop: Workshop) -> None:
    table, stream = workshop.streamed_table()
    notes, _ = workshop.queue()
    functions = workshop.client("lambda")
    mapping = functions.create_event_source_mapping(
        EventSourceArn=stream,
        FunctionName=workshop.function(NOTE % (notes, False)),
        StartingPosition="TRIM_HORIZON",
        Enabled=False,
    )
    workshop.client("dynamodb").put_item(TableName=table, Item={"pk": {"S": "kept"}})

    workshop.emulator.restart()
    workshop.client("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)

    assert _batches(workshop, notes, until="kept") == [["kept"]]
