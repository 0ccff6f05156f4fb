"""Idempotency records in DynamoDB; time-to-live removes them, up to days late, so reads check the expiry themselves."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from gpupool.clock import Clock
from gpupool.dynamo import exists_on_condition, from_item, to_item
from gpupool.errors import AlreadyExists
from gpupool.idempotency.model import IdempotencyRecord

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def first_use_write(table: str, record: IdempotencyRecord) -> dict[str, Any]:
    """The put that succeeds for the first use of a key, or once the earlier use has expired."""
    row = TypeAdapter(IdempotencyRecord).dump_python(record, mode="json") | {
        "pk": record.id,
        "expires_at_epoch": int(record.expires_at.timestamp()),
    }
    return {
        "TableName": table,
        "Item": to_item(row),
        "ConditionExpression": "attribute_not_exists(pk) OR expires_at_epoch <= :now",
        "ExpressionAttributeValues": to_item({":now": int(record.created_at.timestamp())}),
    }


def record_from(item: dict[str, Any] | None, *, now: datetime) -> IdempotencyRecord | None:
    """The record of an item, unless there is none or it has expired."""
    if not item:
        return None
    record = TypeAdapter(IdempotencyRecord).validate_python(from_item(item))
    return record if record.expires_at > now else None


class DynamoIdempotencyStore:
    def __init__(self, client: "DynamoDBClient", table: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    def get(self, record_id: str) -> IdempotencyRecord | None:
        answer = self._client.get_item(TableName=self._table, Key=to_item({"pk": record_id}), ConsistentRead=True)
        return record_from(answer.get("Item"), now=self._clock.now())

    def reserve(self, record: IdempotencyRecord) -> IdempotencyRecord:
        try:
            with exists_on_condition():
                self._client.put_item(**first_use_write(self._table, record))
        except AlreadyExists:
            # None when it expired between the two calls: then the key is as good as new.
            return self.get(record.id) or record
        return record
