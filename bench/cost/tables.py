"""The tables as the meter sees them: their keys and indexes, and items as they are, read where nobody bills it."""

from functools import cache
from typing import TYPE_CHECKING, Any

from moto.backends import get_backend

from bench.cost.capacity import Index
from tests.cloud.template import ACCOUNT, REGION

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Attributes = dict[str, Any]


class Tables:
    def __init__(self, client: "DynamoDBClient") -> None:
        self._client = client
        self._described = cache(self._describe)

    def indexes(self, table: str) -> tuple[Index, ...]:
        return self._described(table)[1]

    def item(self, table: str, key_or_item: Attributes) -> Attributes | None:
        """The present item with the key of the given one; from moto's memory, for a call takes ten times as long."""
        key = {name: key_or_item[name] for name in self._described(table)[0]}
        found = get_backend("dynamodb")[ACCOUNT][REGION].get_item(table, key)
        if found is None:
            return None
        attributes: Attributes = found.to_json()["Attributes"]
        return attributes

    def queried(self, query: Attributes) -> list[Attributes]:
        """What a page of a query reads, be it shown or filtered away."""
        plain = {name: value for name, value in query.items() if name not in _NARROWING}
        condition = str(query["KeyConditionExpression"])
        for kind in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
            used = {name: value for name, value in query.get(kind, {}).items() if name in condition}
            plain = {name: value for name, value in plain.items() if name != kind} | ({kind: used} if used else {})
        return list(self._client.query(**plain)["Items"])

    def _describe(self, table: str) -> tuple[tuple[str, ...], tuple[Index, ...]]:
        found: Any = self._client.describe_table(TableName=table)["Table"]
        key = _key(found)
        listed = [*found.get("GlobalSecondaryIndexes", []), *found.get("LocalSecondaryIndexes", [])]
        return key, tuple(_index(each, key) for each in listed)


_NARROWING = frozenset({"FilterExpression", "ProjectionExpression", "Select"})


def _key(description: Attributes) -> tuple[str, ...]:
    return tuple(part["AttributeName"] for part in description["KeySchema"])


def _index(description: Attributes, table_key: tuple[str, ...]) -> Index:
    key, projection = _key(description), description["Projection"]
    if projection["ProjectionType"] == "ALL":
        return Index(key, None)
    return Index(key, frozenset({*key, *table_key, *projection.get("NonKeyAttributes", [])}))
