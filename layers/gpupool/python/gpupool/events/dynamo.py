"""Events in DynamoDB: partition ``job_id``, sort ``event_key``; written once and never changed."""

from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from gpupool.dynamo import exists_on_condition, from_item, query_page, start_after, to_item
from gpupool.errors import AlreadyExists
from gpupool.events.model import Event, event_key
from gpupool.pages import Key, Page

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@cache
def _adapter() -> TypeAdapter[Event]:
    return TypeAdapter(Event)


def event_item(event: Event) -> dict[str, Any]:
    return to_item(_adapter().dump_python(event, mode="json") | {"event_key": event_key(event)})


def event_from(item: dict[str, Any]) -> Event:
    """An event from an item, also from the images of a stream record."""
    return _adapter().validate_python(from_item(item))


class DynamoEventStore:
    """A put that finds its event there changes nothing, so the table's stream tells each event once per write of it."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def add(self, events: tuple[Event, ...]) -> None:
        for event in events:
            with suppress(AlreadyExists), exists_on_condition():
                self._client.put_item(
                    TableName=self._table, Item=event_item(event), ConditionExpression="attribute_not_exists(event_key)"
                )

    def has(self, event: Event) -> bool:
        key = to_item({"job_id": event.job_id, "event_key": event_key(event)})
        answer = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True, ProjectionExpression="event_key")
        return "Item" in answer

    def page(self, job_id: str, *, limit: int, key: Key | None) -> Page[Event]:
        query = {
            "TableName": self._table,
            "KeyConditionExpression": "job_id = :job",
            "ExpressionAttributeValues": to_item({":job": job_id}),
        }
        return query_page(
            self._client,
            query | start_after(key),
            limit=limit,
            read=event_from,
            key_of=lambda event: {"job_id": event.job_id, "event_key": event_key(event)},
        )
