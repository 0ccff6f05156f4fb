"""Webhooks in DynamoDB.

webhooks     partition ``customer_id``, sort ``id``, whose order is that of creation
deliveries   partition ``endpoint_id``, sort ``delivery_id``; index ``by_sequence`` lists an endpoint's, index ``by_due`` holds
             only what is pending, over a few partitions so that no single one takes all writes; rows expire after 30 days
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter

from gpupool.dynamo import (
    cancellation_codes,
    error_code,
    exists_on_condition,
    from_item,
    query_page,
    stale_on_condition,
    start_after,
    to_item,
)
from gpupool.errors import AlreadyExists, StaleWrite
from gpupool.pages import Key, Page
from gpupool.webhooks.model import Delivery, Endpoint

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEPT = timedelta(days=30)
_SHARDS = 4
_FAILED = "ConditionalCheckFailed"
_OVERTAKEN = frozenset({_FAILED, "TransactionConflict"})
Row = TypeVar("Row", Endpoint, Delivery)


_ROWS: dict[Any, TypeAdapter[Any]] = {}


def _rows(model: type[Endpoint] | type[Delivery]) -> TypeAdapter[Any]:
    """Made on first use: a cold start that touches no webhook does not wait for it."""
    if model not in _ROWS:
        _ROWS[model] = TypeAdapter(model)
    return _ROWS[model]


def _endpoint_item(endpoint: Endpoint) -> dict[str, Any]:
    row = _rows(Endpoint).dump_python(endpoint, mode="json", exclude_none=True)
    return to_item(row | {"events": sorted(endpoint.events), "updated_at": _time(endpoint.updated_at)})


def _delivery_item(delivery: Delivery) -> dict[str, Any]:
    row = _rows(Delivery).dump_python(delivery, mode="json", exclude_none=True)
    row |= {
        "delivery_id": delivery.id,
        "sequence_key": _sequence_key(delivery.sequence),
        "expires_at_epoch": int((delivery.created_at + KEPT).timestamp()),
    }
    if delivery.due_at is not None:
        shard = zlib.crc32(delivery.id.encode()) % _SHARDS
        row |= {"due_shard": f"due-{shard}", "due_at": _time(delivery.due_at)}
    return to_item(row)


def _read(model: type[Row], item: Mapping[str, Any]) -> Row:
    row: Row = _rows(model).validate_python(from_item(item))
    return row


def _time(at: datetime) -> str:
    """A fixed number of digits keeps the order of texts the order of times."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _sequence_key(sequence: int) -> str:
    return f"{sequence:012d}"


class DynamoWebhookStore:
    def __init__(self, client: "DynamoDBClient", *, webhooks_table: str, deliveries_table: str) -> None:
        self._client = client
        self._webhooks = webhooks_table
        self._deliveries = deliveries_table

    def add_endpoint(self, endpoint: Endpoint) -> None:
        with exists_on_condition():
            self._client.put_item(
                TableName=self._webhooks, Item=_endpoint_item(endpoint), ConditionExpression="attribute_not_exists(id)"
            )

    def endpoint(self, customer_id: str, endpoint_id: str) -> Endpoint | None:
        key = _endpoint_key(customer_id, endpoint_id)
        answer = self._client.get_item(TableName=self._webhooks, Key=key, ConsistentRead=True)
        return _read(Endpoint, answer["Item"]) if "Item" in answer else None

    def endpoints(self, customer_id: str, *, limit: int, key: Key | None) -> Page[Endpoint]:
        query = {
            "TableName": self._webhooks,
            "KeyConditionExpression": "customer_id = :customer",
            "ExpressionAttributeValues": to_item({":customer": customer_id}),
            "ScanIndexForward": False,
            "ConsistentRead": True,
        }
        return query_page(
            self._client,
            query | start_after(key | {"customer_id": customer_id} if key else None),
            limit=limit,
            read=lambda item: _read(Endpoint, item),
            key_of=lambda endpoint: {"id": endpoint.id},
        )

    def replace_endpoint(self, before: Endpoint, after: Endpoint) -> Endpoint:
        """An update of everything but the sequence, which enqueueing counts on at the same time."""
        row = from_item(_endpoint_item(after))
        kept = ("id", "customer_id", "last_sequence")
        fields = [name for name in Endpoint.__dataclass_fields__ if name not in kept]
        sets = {name: row[name] for name in fields if name in row}
        removes = [name for name in fields if name not in row]
        expression = "SET " + ", ".join(f"#{name} = :{name}" for name in sets)
        if removes:
            expression += " REMOVE " + ", ".join(f"#{name}" for name in removes)
        with stale_on_condition():
            answer = self._client.update_item(
                TableName=self._webhooks,
                Key=_endpoint_key(after.customer_id, after.id),
                UpdateExpression=expression,
                ConditionExpression="#updated_at = :before",
                ExpressionAttributeNames={f"#{name}": name for name in fields},
                ExpressionAttributeValues=to_item(
                    {f":{name}": value for name, value in sets.items()} | {":before": _time(before.updated_at)}
                ),
                ReturnValues="ALL_NEW",
            )
        return _read(Endpoint, answer["Attributes"])

    def remove_endpoint(self, endpoint: Endpoint) -> None:
        self._client.delete_item(TableName=self._webhooks, Key=_endpoint_key(endpoint.customer_id, endpoint.id))

    def enqueue(self, delivery: Delivery) -> None:
        put: Any = {
            "TableName": self._deliveries,
            "Item": _delivery_item(delivery),
            "ConditionExpression": "attribute_not_exists(endpoint_id)",
        }
        count: Any = {
            "TableName": self._webhooks,
            "Key": _endpoint_key(delivery.customer_id, delivery.endpoint_id),
            "UpdateExpression": "SET last_sequence = :next",
            "ConditionExpression": "last_sequence = :last",
            "ExpressionAttributeValues": to_item({":next": delivery.sequence, ":last": delivery.sequence - 1}),
        }
        try:
            self._client.transact_write_items(TransactItems=[{"Put": put}, {"Update": count}])
        except Exception as error:
            codes = cancellation_codes(error) if error_code(error) == "TransactionCanceledException" else []
            if codes and codes[0] == _FAILED:
                raise AlreadyExists(delivery.id) from error
            # Whoever gets StaleWrite tries again at once, which helps against other writers and nothing else.
            if _OVERTAKEN.isdisjoint(codes):
                raise
            raise StaleWrite(delivery.endpoint_id) from error

    def delivery(self, endpoint_id: str, delivery_id: str) -> Delivery | None:
        key = to_item({"endpoint_id": endpoint_id, "delivery_id": delivery_id})
        answer = self._client.get_item(TableName=self._deliveries, Key=key, ConsistentRead=True)
        return _read(Delivery, answer["Item"]) if "Item" in answer else None

    def deliveries(self, endpoint_id: str, *, limit: int, key: Key | None) -> Page[Delivery]:
        query = {
            "TableName": self._deliveries,
            "IndexName": "by_sequence",
            "KeyConditionExpression": "endpoint_id = :endpoint",
            "ExpressionAttributeValues": to_item({":endpoint": endpoint_id}),
            "ScanIndexForward": False,
        }
        start = json.loads(key["key"]) | {"endpoint_id": endpoint_id} if key else None
        return query_page(
            self._client,
            query | start_after(start),
            limit=limit,
            read=lambda item: _read(Delivery, item),
            key_of=lambda each: {"key": json.dumps({"delivery_id": each.id, "sequence_key": _sequence_key(each.sequence)})},
        )

    def replace_delivery(self, delivery: Delivery) -> Delivery:
        written = replace(delivery, version=delivery.version + 1)
        with stale_on_condition():
            self._client.put_item(
                TableName=self._deliveries,
                Item=_delivery_item(written),
                ConditionExpression="#version = :version",
                ExpressionAttributeNames={"#version": "version"},
                ExpressionAttributeValues=to_item({":version": delivery.version}),
            )
        return written

    def due(self, *, within_seconds: int, now: datetime, limit: int) -> tuple[Delivery, ...]:
        until = _time(now + timedelta(seconds=within_seconds))
        found: list[Delivery] = []
        for shard in range(_SHARDS):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._deliveries,
                IndexName="by_due",
                KeyConditionExpression="due_shard = :shard AND due_at <= :until",
                ExpressionAttributeValues=to_item({":shard": f"due-{shard}", ":until": until}),
                PaginationConfig={"MaxItems": limit},
            )
            found += [_read(Delivery, item) for page in pages for item in page["Items"]]
        return tuple(sorted(found, key=lambda each: (str(each.due_at), each.id))[:limit])


def _endpoint_key(customer_id: str, endpoint_id: str) -> dict[str, Any]:
    return to_item({"customer_id": customer_id, "id": endpoint_id})
