"""What the meter makes of calls to AWS."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from bench.cost.meter import Meter
from bench.cost.prices import Item
from bench.cost.tables import Tables
from tests.cloud.template import REGION

KILOBYTE = "x" * 1024
INDEX = {"IndexName": "by_owner", "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}]}


class Bench:
    """A table with an index, a queue, and a meter on the clients that a test uses."""

    def __init__(self) -> None:
        self.dynamodb: Any = boto3.client("dynamodb", region_name=REGION)
        self.sqs: Any = boto3.client("sqs", region_name=REGION)
        self.dynamodb.create_table(
            TableName="rows",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "owner")],
            GlobalSecondaryIndexes=[INDEX | {"Projection": {"ProjectionType": "ALL"}}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.url = self.sqs.create_queue(QueueName="bells")["QueueUrl"]
        self.meter = Meter(Tables(boto3.client("dynamodb", region_name=REGION)), memory_mb={"node_api": 1024})
        self.meter.watch(self.dynamodb)
        self.meter.watch(self.sqs)

    def put(self, key: str, **attributes: str) -> None:
        item = {"pk": {"S": key}} | {name: {"S": value} for name, value in attributes.items()}
        self.dynamodb.put_item(TableName="rows", Item=item)

    def billed(self, item: Item) -> float:
        """Since the last time."""
        used = self.meter.total()[item]
        self.meter.charges.clear()
        return used


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield Bench()


def test_a_put_is_billed_by_its_size_and_its_index(bench: Bench) -> None:
    bench.put("a")
    assert bench.billed(Item.DYNAMODB_WRITE) == 1
    bench.put("b", text=KILOBYTE, owner="ada")
    assert bench.billed(Item.DYNAMODB_WRITE) == 2 + 2


def test_an_update_is_billed_by_the_item_that_was_there(bench: Bench) -> None:
    bench.put("a", text=KILOBYTE)
    bench.billed(Item.DYNAMODB_WRITE)

    bench.dynamodb.update_item(
        TableName="rows", Key={"pk": {"S": "a"}}, UpdateExpression="REMOVE #t", ExpressionAttributeNames={"#t": "text"}
    )

    assert bench.billed(Item.DYNAMODB_WRITE) == 2


def test_a_failed_condition_is_billed_without_the_index(bench: Bench) -> None:
    bench.put("a", owner="ada")
    bench.billed(Item.DYNAMODB_WRITE)

    with suppress(ClientError):
        bench.dynamodb.delete_item(TableName="rows", Key={"pk": {"S": "a"}}, ConditionExpression="attribute_not_exists(pk)")

    assert bench.billed(Item.DYNAMODB_WRITE) == 1
    assert "a" in str(bench.dynamodb.get_item(TableName="rows", Key={"pk": {"S": "a"}}))


def test_a_malformed_request_is_not_billed(bench: Bench) -> None:
    with suppress(ClientError):
        bench.dynamodb.update_item(TableName="rows", Key={"pk": {"S": "a"}}, UpdateExpression="NONSENSE")

    assert bench.billed(Item.DYNAMODB_WRITE) == 0


def test_transactions_cost_twice(bench: Bench) -> None:
    rows = [{"Put": {"TableName": "rows", "Item": {"pk": {"S": key}}}} for key in "ab"]
    bench.dynamodb.transact_write_items(TransactItems=rows)
    assert bench.billed(Item.DYNAMODB_WRITE) == 4

    gets = [{"Get": {"TableName": "rows", "Key": {"pk": {"S": key}}}} for key in "ab"]
    bench.dynamodb.transact_get_items(TransactItems=gets)
    assert bench.billed(Item.DYNAMODB_READ) == 4


def test_reads_are_billed_whole_whatever_they_show(bench: Bench) -> None:
    for key in "abcde":
        bench.put(key, owner="ada", text=KILOBYTE)
    query = {
        "TableName": "rows",
        "IndexName": "by_owner",
        "KeyConditionExpression": "#o = :o",
        "ExpressionAttributeNames": {"#o": "owner", "#p": "pk"},
        "ExpressionAttributeValues": {":o": {"S": "ada"}},
        "ProjectionExpression": "#p",
    }

    assert len(bench.dynamodb.query(**query)["Items"]) == 5
    assert bench.billed(Item.DYNAMODB_READ) == 1  # five kilobytes, eventually consistent
    bench.dynamodb.get_item(TableName="rows", Key={"pk": {"S": "a"}}, ConsistentRead=True)
    assert bench.billed(Item.DYNAMODB_READ) == 1
    bench.dynamodb.batch_get_item(RequestItems={"rows": {"Keys": [{"pk": {"S": key}} for key in "abcz"]}})
    assert bench.billed(Item.DYNAMODB_READ) == 2


def test_a_call_without_a_price_fails_instead_of_being_free(bench: Bench) -> None:
    with pytest.raises(LookupError, match=r"dynamodb\.Scan"):
        bench.dynamodb.scan(TableName="rows")


def test_messages_are_billed_per_request_and_64_kilobytes(bench: Bench) -> None:
    bench.sqs.send_message(QueueUrl=bench.url, MessageBody="ding")
    assert bench.billed(Item.SQS_REQUEST) == 1
    entries = [{"Id": str(number), "MessageBody": "x" * 8_000} for number in range(10)]
    bench.sqs.send_message_batch(QueueUrl=bench.url, Entries=entries)
    assert bench.billed(Item.SQS_REQUEST) == 2


def test_an_invocation_is_charged_with_its_calls(bench: Bench) -> None:
    with bench.meter.invocation("node_api", "claim"):
        bench.put("a")
    with bench.meter.invocation("node_api"):
        pass
    (write, first), (second,) = bench.meter.charges[:2], bench.meter.charges[2:]

    assert (write.source, write.what, first.source, first.what) == (
        "node_api claim",
        "PutItem rows",
        "node_api claim",
        "Lambda",
    )
    assert first.usage[Item.LAMBDA_REQUEST] == second.usage[Item.LAMBDA_REQUEST] == 1
    assert first.usage[Item.LAMBDA_GB_SECOND] > second.usage[Item.LAMBDA_GB_SECOND] > 0
