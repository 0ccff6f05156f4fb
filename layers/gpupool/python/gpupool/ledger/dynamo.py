"""The ledger in DynamoDB: partition ``customer_id``; one item ``balance`` and one immutable item per transfer.

Both are written in one transaction. The transfer's put fails when its id is there, so whatever is retried moves money once.
``by_time`` is a local index, because only such a one can be read consistently; the balance lacks its key and is not in it.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from gpupool.dynamo import cancellation_codes, error_code, from_item, query_page, start_after, to_item
from gpupool.errors import AlreadyExists, StaleWrite
from gpupool.ledger.model import Balance, Transfer, deltas_of, moment_key, time_key
from gpupool.pages import Key, Page

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_BALANCE = "balance"
_ACCOUNTS = ("available", "held", "spent", "granted")


@cache
def _adapter() -> TypeAdapter[Transfer]:
    return TypeAdapter(Transfer)


def entry_write(table: str, transfer: Transfer) -> dict[str, Any]:
    """The put of the entry; its condition is what makes a repeat harmless."""
    row = _adapter().dump_python(transfer, mode="json") | {
        "entry_id": transfer.id,
        "time_key": time_key(transfer),
    }
    return {"TableName": table, "Item": to_item(row), "ConditionExpression": "attribute_not_exists(entry_id)"}


def balance_write(table: str, transfer: Transfer) -> dict[str, Any]:
    """The change of the accounts; refused when one would fall below zero."""
    deltas = deltas_of(transfer)
    changes = {account: getattr(deltas, account) for account in _ACCOUNTS if getattr(deltas, account)}
    falling = {account: -change for account, change in changes.items() if change < 0}
    values: dict[str, Any] = {f":{account}": change for account, change in changes.items()}
    values |= {f":need_{account}": needed for account, needed in falling.items()} | {":latest": time_key(transfer)}
    write: dict[str, Any] = {
        "TableName": table,
        "Key": to_item({"customer_id": transfer.customer_id, "entry_id": _BALANCE}),
        "UpdateExpression": "SET latest = :latest ADD " + ", ".join(f"{account} :{account}" for account in changes),
        "ExpressionAttributeValues": to_item(values),
    }
    if falling:
        write["ConditionExpression"] = " AND ".join(f"{account} >= :need_{account}" for account in falling)
    return write


class DynamoLedgerStore:
    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def balance(self, customer_id: str) -> Balance:
        key = to_item({"customer_id": customer_id, "entry_id": _BALANCE})
        row = from_item(self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item", {}))
        return Balance(customer_id, **{account: row.get(account, 0) for account in _ACCOUNTS}, latest=row.get("latest", ""))

    def post(self, transfer: Transfer) -> None:
        writes: Any = [{"Put": entry_write(self._table, transfer)}, {"Update": balance_write(self._table, transfer)}]
        try:
            self._client.transact_write_items(TransactItems=writes)
        except Exception as error:
            if error_code(error) != "TransactionCanceledException":
                raise
            refused = cancellation_codes(error)
            if refused[0] == "ConditionalCheckFailed":
                raise AlreadyExists(transfer.id) from error
            raise StaleWrite(f"transfer refused: {refused}") from error

    def page(self, customer_id: str, *, limit: int, key: Key | None) -> Page[Transfer]:
        query = self._by_time("customer_id = :customer", {":customer": customer_id}) | {"ScanIndexForward": False}
        return query_page(
            self._client,
            query | start_after(key),
            limit=limit,
            read=_read,
            key_of=lambda entry: {"customer_id": customer_id, "entry_id": entry.id, "time_key": time_key(entry)},
        )

    def between(self, customer_id: str, *, start: datetime, end: datetime | None) -> Iterator[Transfer]:
        condition, values = "customer_id = :customer AND time_key >= :start", {":customer": customer_id}
        if end is not None:
            # No entry has a bare moment as its key, so that BETWEEN, which takes both ends in, leaves those of ``end`` out.
            condition, values = (
                "customer_id = :customer AND time_key BETWEEN :start AND :end",
                values | {":end": moment_key(end)},
            )
        pages = self._client.get_paginator("query").paginate(**self._by_time(condition, values | {":start": moment_key(start)}))
        return (_read(item) for page in pages for item in page["Items"])

    def _by_time(self, condition: str, values: dict[str, str]) -> dict[str, Any]:
        return {
            "TableName": self._table,
            "IndexName": "by_time",
            "ConsistentRead": True,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": to_item(values),
        }


def _read(item: dict[str, Any]) -> Transfer:
    return _adapter().validate_python(from_item(item))
