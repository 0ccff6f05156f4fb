"""Accounts in DynamoDB.

customers   pk = customer#<id> (the customer) and email#<address> (points to it; the pair is written in one transaction)
keys        pk = apikey#<lookup>, session#<sha256> and ticket#<sha256>; only API keys carry customer_id and created_at, so
            the index by_customer holds nothing else; sessions and tickets expire through expires_at_epoch

A customer's row names its sessions, and whatever begins or ends them is one transaction with that row: no session can begin
beside a change of the password and escape it.
"""

from collections.abc import Collection
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import TypeAdapter

from gpupool.accounts.model import ApiKey, Customer, Session, Ticket, email_key
from gpupool.dynamo import cancellation_codes, error_code, exists_on_condition, from_item, stale_on_condition, to_item
from gpupool.errors import AlreadyExists, StaleWrite
from gpupool.pages import Key, Page

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Row = TypeVar("Row", Customer, Session, Ticket, ApiKey)


@cache
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


def _dump(row: Customer | Session | Ticket | ApiKey) -> dict[str, Any]:
    model: Any = type(row)
    dumped: dict[str, Any] = _adapter(model).dump_python(row, mode="json", exclude_none=True)
    return dumped


def _key_item(key: ApiKey) -> dict[str, Any]:
    # A fixed number of digits keeps the text order of the index the order of time.
    created_at = key.created_at.isoformat(timespec="microseconds")
    return to_item(_dump(key) | {"pk": f"apikey#{key.lookup}", "created_at": created_at, "scopes": sorted(key.scopes)})


def _expiring_item(row: Session | Ticket) -> dict[str, Any]:
    kind = "session" if isinstance(row, Session) else "ticket"
    return to_item(_dump(row) | {"pk": f"{kind}#{row.token_sha256}", "expires_at_epoch": int(row.expires_at.timestamp())})


class DynamoAccountStore:
    def __init__(self, client: "DynamoDBClient", *, customers_table: str, keys_table: str) -> None:
        self._client = client
        self._customers = customers_table
        self._keys = keys_table

    def add_customer(self, customer: Customer, *, session: Session | None = None, ticket: Ticket | None = None) -> None:
        rows = [
            _dump(customer) | {"pk": f"customer#{customer.id}"},
            {"pk": f"email#{email_key(customer.email)}", "customer_id": customer.id},
        ]
        writes = [
            {"Put": {"TableName": self._customers, "Item": to_item(row), "ConditionExpression": "attribute_not_exists(pk)"}}
            for row in rows
        ]
        codes = self._write_together([*writes, *self._in_keys(session, (), ticket)])
        if "ConditionalCheckFailed" in codes[: len(writes)]:
            raise AlreadyExists
        if codes:
            raise StaleWrite

    def customer(self, customer_id: str) -> Customer | None:
        return self._one(self._customers, f"customer#{customer_id}", Customer)

    def customer_by_email(self, email: str) -> Customer | None:
        pointer = self._get(self._customers, f"email#{email_key(email)}")
        return self.customer(pointer["customer_id"]) if pointer else None

    def update_customer(
        self,
        customer: Customer,
        *,
        session: Session | None = None,
        ended: Collection[str] = (),
        ticket: Ticket | None = None,
    ) -> None:
        row = _dump(customer)
        values = {":hash": row["password_hash"], ":sessions": row["sessions"]}
        values |= {":was": customer.version, ":next": customer.version + 1}
        update = {
            "TableName": self._customers,
            "Key": to_item({"pk": f"customer#{customer.id}"}),
            "UpdateExpression": "SET #password_hash = :hash, #sessions = :sessions, #version = :next",
            # Rows from before there were versions have none.
            "ConditionExpression": "attribute_exists(pk) AND (attribute_not_exists(#version) OR #version = :was)",
            "ExpressionAttributeNames": {f"#{name}": name for name in ("password_hash", "sessions", "version")},
            "ExpressionAttributeValues": to_item(values),
        }
        if self._write_together([{"Update": update}, *self._in_keys(session, ended, ticket)]):
            raise StaleWrite

    def session(self, token_sha256: str) -> Session | None:
        return self._one(self._keys, f"session#{token_sha256}", Session)

    def remove_session(self, token_sha256: str) -> None:
        self._client.delete_item(TableName=self._keys, Key=to_item({"pk": f"session#{token_sha256}"}))

    def add_ticket(self, ticket: Ticket) -> None:
        self._client.put_item(TableName=self._keys, Item=_expiring_item(ticket))

    def ticket(self, token_sha256: str) -> Ticket | None:
        return self._one(self._keys, f"ticket#{token_sha256}", Ticket)

    def add_key(self, key: ApiKey) -> None:
        with exists_on_condition():
            self._client.put_item(TableName=self._keys, Item=_key_item(key), ConditionExpression="attribute_not_exists(pk)")

    def key(self, lookup: str) -> ApiKey | None:
        return self._one(self._keys, f"apikey#{lookup}", ApiKey)

    def keys(self, customer_id: str, *, limit: int, key: Key | None) -> Page[ApiKey]:
        start: Any = {"ExclusiveStartKey": to_item(key | {"customer_id": customer_id})} if key else {}
        answer = self._client.query(
            TableName=self._keys,
            IndexName="by_customer",
            KeyConditionExpression="customer_id = :owner",
            ExpressionAttributeValues=to_item({":owner": customer_id}),
            ScanIndexForward=False,
            Limit=limit + 1,  # one more, to know whether there is one more
            **start,
        )
        rows = [from_item(item) for item in answer["Items"]]
        last = rows[limit - 1] if len(rows) > limit else None
        next_key = {"created_at": last["created_at"], "pk": last["pk"]} if last else None
        return Page(tuple(_adapter(ApiKey).validate_python(row) for row in rows[:limit]), next_key)

    def revoke_key(self, lookup: str, *, customer_id: str, at: datetime) -> ApiKey:
        with stale_on_condition():
            answer = self._client.update_item(
                TableName=self._keys,
                Key=to_item({"pk": f"apikey#{lookup}"}),
                UpdateExpression="SET revoked_at = if_not_exists(revoked_at, :at)",
                ConditionExpression="customer_id = :owner",
                ExpressionAttributeValues=to_item({":at": at.isoformat(), ":owner": customer_id}),
                ReturnValues="ALL_NEW",
            )
        revoked: ApiKey = _adapter(ApiKey).validate_python(from_item(answer["Attributes"]))
        return revoked

    def _in_keys(self, session: Session | None, ended: Collection[str], ticket: Ticket | None) -> list[dict[str, Any]]:
        """The writes to the table of keys that go with one to a customer."""

        def gone(pk: str) -> dict[str, Any]:
            return {"TableName": self._keys, "Key": to_item({"pk": pk})}

        writes: list[dict[str, Any]] = [{"Delete": gone(f"session#{token_sha256}")} for token_sha256 in sorted(ended)]
        if session is not None:
            writes.append({"Put": {"TableName": self._keys, "Item": _expiring_item(session)}})
        if ticket is not None:
            unused = {"ConditionExpression": "attribute_exists(pk)"}
            writes.append({"Delete": gone(f"ticket#{ticket.token_sha256}") | unused})
        return writes

    def _write_together(self, writes: Any) -> list[str]:
        """Nothing when all of it was written; else, per write, why none was: a condition, or another writer at that moment."""
        try:
            self._client.transact_write_items(TransactItems=writes)
        except Exception as error:
            codes = cancellation_codes(error) if error_code(error) == "TransactionCanceledException" else []
            if not {"ConditionalCheckFailed", "TransactionConflict"} & set(codes):
                raise
            return codes
        return []

    def _get(self, table: str, pk: str) -> dict[str, Any] | None:
        answer = self._client.get_item(TableName=table, Key=to_item({"pk": pk}), ConsistentRead=True)
        return from_item(answer["Item"]) if "Item" in answer else None

    def _one(self, table: str, pk: str, model: type[Row]) -> Row | None:
        row = self._get(table, pk)
        if row is None:
            return None
        found: Row = _adapter(cast(Any, model)).validate_python(row)
        return found
