"""What one call to DynamoDB is billed, table by table."""

from collections.abc import Iterable
from typing import Any

from bench.cost.capacity import TRANSACTIONAL, read_alone, read_together, refused, written
from bench.cost.prices import Item, Usage
from bench.cost.tables import Attributes, Tables
from bench.watcher import Call

Billed = list[tuple[str, Usage]]
"""What was done, in words, and what it is billed."""

_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem"})
_BILLED_REFUSALS = frozenset({"ConditionalCheckFailedException", "TransactionCanceledException"})


class DynamoBill:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def note(self, call: Call) -> None:
        """Before the call: keeps the items as they were, for a write is billed by the larger of before and after."""
        call.notes["before"] = [self._tables.item(table, target) for _, table, target in _writes(call)]

    def of(self, call: Call, answer: Attributes) -> Billed:
        """After it. A call that the meter does not know fails, or a new kind of call would be free."""
        if "Error" in answer and answer["Error"]["Code"] not in _BILLED_REFUSALS:
            return []  # neither throttled nor malformed requests are billed
        if call.operation in _WRITES or call.operation in ("TransactWriteItems", "BatchWriteItem"):
            return self._written(call, answer)
        if call.operation == "GetItem":
            return self._read("GetItem", call.params["TableName"], [call.params["Key"]], _is_consistent(call.params))
        if call.operation == "BatchGetItem":
            asked = call.params["RequestItems"].items()
            return [line for table, keys in asked for line in self._read("BatchGet", table, keys["Keys"], _is_consistent(keys))]
        if call.operation == "TransactGetItems":
            gets = [each["Get"] for each in call.params["TransactItems"]]
            found = [line for get in gets for line in self._read("TransactGet", get["TableName"], [get["Key"]], True)]
            return [(what, usage * TRANSACTIONAL) for what, usage in found]
        if call.operation == "Query":
            return self._queried(call, answer)
        raise LookupError(f"the meter knows no price of {call.service}.{call.operation}")

    def _written(self, call: Call, answer: Attributes) -> Billed:
        failed = "Error" in answer
        factor = TRANSACTIONAL if call.operation == "TransactWriteItems" else 1
        lines: Billed = []
        for before, (kind, table, target) in zip(call.notes["before"], _writes(call), strict=True):
            if failed:
                units = refused(before, target if kind.endswith("Put") or kind == "PutItem" else None)
            else:
                units = written(before, self._tables.item(table, target), self._tables.indexes(table))
            word = f"{kind} {table}{' (refused)' if failed else ''}"
            lines.append((word, Usage.of(Item.DYNAMODB_WRITE, factor * units)))
        return lines

    def _read(self, kind: str, table: str, keys: Iterable[Attributes], consistent: bool) -> Billed:
        units = sum(read_alone(self._tables.item(table, key), consistent=consistent) for key in keys)
        return [(f"{kind} {table}", Usage.of(Item.DYNAMODB_READ, units))]

    def _queried(self, call: Call, answer: Attributes) -> Billed:
        narrowed = {"FilterExpression", "ProjectionExpression", "Select"} & set(call.params)
        items = self._tables.queried(call.params) if narrowed else answer["Items"]
        index = call.params.get("IndexName")
        units = read_together(items, consistent=_is_consistent(call.params))
        where = call.params["TableName"] + (f"/{index}" if index else "")
        return [(f"Query {where}", Usage.of(Item.DYNAMODB_READ, units))]


def _writes(call: Call) -> list[tuple[str, str, Attributes]]:
    """The single writes of a call: what kind, in which table, and the key, of a put the whole item."""
    if call.operation in _WRITES:
        return [(call.operation, call.params["TableName"], _target(call.params))]
    if call.operation == "TransactWriteItems":
        each = [next(iter(statement.items())) for statement in call.params["TransactItems"]]
        return [(f"Transact{kind}", write["TableName"], _target(write)) for kind, write in each]
    if call.operation == "BatchWriteItem":
        return [
            (f"Batch{kind.removesuffix('Request')}", table, _target(write))
            for table, requests in call.params["RequestItems"].items()
            for request in requests
            for kind, write in request.items()
        ]
    return []


def _target(write: Attributes) -> Attributes:
    target: Attributes = write["Item"] if "Item" in write else write["Key"]
    return target


def _is_consistent(params: Any) -> bool:
    return bool(params.get("ConsistentRead", False))
