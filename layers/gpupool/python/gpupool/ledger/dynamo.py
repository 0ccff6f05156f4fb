"""The ledger in DynamoDB: partition ``customer_id``; one item ``balance`` and one immutable item per transfer.

Both are written in one transaction. The transfer's put fails when its id is there, so whatever is retried moves money once.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from gpupool.dynamo import cancellation_codes, error_code, from_item, query_page, start_after, to_item
from gpupool.errors import AlreadyExists
from gpupool.ledger.model import Balance, Transfer, deltas_of, time_key
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
    values = {f":{account}": change for account, change in changes.items()}
    values |= {f":need_{account}": needed for account, needed in falling.items()}
    write: dict[str, Any] = {
        "TableName": table,
        "Key": to_item({"customer_id": transfer.customer_id, "entry_id": _BALANCE}),
        "UpdateExpression": "ADD " + ", ".join(f"{account} :{account}" for account in changes),
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
        return Balance(customer_id, **{account: row.get(account, 0) for account in _ACCOUNTS})

    def post(self, transfer: Transfer) -> None:
        writes: Any = [{"Put": entry_write(self._table, transfer)}, {"Update": balance_write(self._table, transfer)}]
        try:
            self._client.transact_write_items(TransactItems=writes)
        except Exception as error:
            if error_code(error) == "TransactionCanceledException" and cancellation_codes(error)[0] == "ConditionalCheckFailed":
                raise AlreadyExists(transfer.id) from error
            raise

    def page(self, customer_id: str, *, limit: int, key: Key | None) -> Page[Transfer]:
        query = {
            "TableName": self._table,
            "IndexName": "by_time",
            "KeyConditionExpression": "customer_id = :customer",
            "ExpressionAttributeValues": to_item({":customer": customer_id}),
            "ScanIndexForward": False,
        }
        return query_page(
            self._client,
            query | start_after(key),
            limit=limit,
            read=lambda item: _adapter().validate_python(from_item(item)),
            key_of=lambda entry: {"customer_id": customer_id, "entry_id": entry.id, "time_key": time_key(entry)},
        )
