"""Nodes and pairing codes in DynamoDB: ``pk`` is ``node#<id>`` or ``pairing#<sha256 of the code>``."""

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from gpupool.dynamo import cancellation_codes, error_code, exists_on_condition, from_item, to_item
from gpupool.errors import StaleWrite
from gpupool.nodes.model import Node, PairingCode, Sighting

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@cache
def _nodes() -> TypeAdapter[Node]:
    return TypeAdapter(Node)


@cache
def _codes() -> TypeAdapter[PairingCode]:
    return TypeAdapter(PairingCode)


def _node_key(node_id: str) -> dict[str, Any]:
    return to_item({"pk": f"node#{node_id}"})


def _code_key(code_hash: str) -> dict[str, Any]:
    return to_item({"pk": f"pairing#{code_hash}"})


class DynamoNodeStore:
    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def add_code(self, code: PairingCode) -> None:
        row = _codes().dump_python(code, mode="json") | {"expires_at_epoch": int(code.expires_at.timestamp())}
        with exists_on_condition():
            self._client.put_item(
                TableName=self._table,
                Item=to_item(row) | _code_key(code.code_hash),
                ConditionExpression="attribute_not_exists(pk)",
            )

    def find_code(self, code_hash: str) -> PairingCode | None:
        item = self._get(_code_key(code_hash))
        return _codes().validate_python(from_item(item)) if item else None

    def redeem(self, code: PairingCode, node: Node) -> None:
        use_up: Any = {
            "TableName": self._table,
            "Key": _code_key(code.code_hash),
            "ConditionExpression": "attribute_exists(pk) AND expires_at_epoch > :now",
            "ExpressionAttributeValues": to_item({":now": int(node.paired_at.timestamp())}),
        }
        add: Any = {
            "TableName": self._table,
            "Item": to_item(_nodes().dump_python(node, mode="json")) | _node_key(node.id),
            "ConditionExpression": "attribute_not_exists(pk)",
        }
        try:
            self._client.transact_write_items(TransactItems=[{"Delete": use_up}, {"Put": add}])
        except Exception as error:
            if {"ConditionalCheckFailed", "TransactionConflict"} & set(cancellation_codes(error)):
                raise StaleWrite from error
            raise

    def get(self, node_id: str) -> Node | None:
        item = self._get(_node_key(node_id))
        return _nodes().validate_python(from_item(item)) if item else None

    def seen(self, node_id: str, sighting: Sighting) -> None:
        found = sighting.capabilities
        polled = sighting.last_poll_ok_at
        changes = {
            "last_seen_at": sighting.at.isoformat(),
            "capabilities": found.model_dump(mode="json") if found else None,
            "draining": sighting.draining,
            "last_poll_ok_at": polled.isoformat() if polled else None,
        }
        told = {name: change for name, change in changes.items() if change is not None}
        self._update(node_id, "SET " + ", ".join(f"#{name} = :{name}" for name in told), told)

    def revoke(self, node_id: str, *, at: datetime) -> None:
        self._update(node_id, "SET #revoked_at = if_not_exists(#revoked_at, :revoked_at)", {"revoked_at": at.isoformat()})

    def _update(self, node_id: str, expression: str, values: dict[str, Any]) -> None:
        """The condition keeps an update from making half a row out of nothing."""
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_node_key(node_id),
                UpdateExpression=expression,
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeNames={f"#{name}": name for name in values},
                ExpressionAttributeValues=to_item({f":{name}": value for name, value in values.items()}),
            )
        except Exception as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise

    def _get(self, key: dict[str, Any]) -> dict[str, Any] | None:
        return self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
