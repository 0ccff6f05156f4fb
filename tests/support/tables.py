"""The tables as infra/ defines them, for moto; tests/infra holds the two against each other."""

from typing import Any

# name -> (partition key, sort key, indexes as name -> (partition key, sort key))
TABLES: dict[str, tuple[str, str | None, dict[str, tuple[str, str]]]] = {
    "customers": ("pk", None, {}),
    "keys": ("pk", None, {"by_customer": ("customer_id", "created_at")}),
    "uploads": ("owner_kind", "id", {}),
    "jobs": (
        "job_id",
        None,
        {
            "by_customer": ("customer_id", "job_id"),
            "by_customer_status": ("customer_status", "job_id"),
            "by_watch": ("watch", "job_id"),
        },
    ),
    "progress": ("job_id", None, {}),
    "units": ("job_id", "unit_id", {}),
    "gates": ("unit_id", "gate", {}),
    "ledger": ("customer_id", "entry_id", {}),
    "nodes": ("pk", None, {}),
    "idempotency": ("pk", None, {}),
    "events": ("job_id", "event_key", {}),
    "limits": ("pk", None, {}),
    "webhooks": ("customer_id", "id", {}),
    "deliveries": (
        "endpoint_id",
        "delivery_id",
        {"by_sequence": ("endpoint_id", "sequence_key"), "by_due": ("due_shard", "due_at")},
    ),
}

# Those of the table's own partition, which can be read consistently.
LOCAL_INDEXES: dict[str, dict[str, tuple[str, str]]] = {"ledger": {"by_time": ("customer_id", "time_key")}}

# Those that hold nothing but keys.
KEYS_ONLY = frozenset({"by_watch"})


def create_tables(client: Any, *names: str, prefix: str = "") -> None:
    """Creates the named tables, all of them when none is named; ``prefix`` begins the name of each."""
    for name in names or TABLES:
        partition, sort, indexes = TABLES[name]
        kinds = {"GlobalSecondaryIndexes": indexes, "LocalSecondaryIndexes": LOCAL_INDEXES.get(name, {})}
        keys = [key for found in kinds.values() for pair in found.values() for key in pair]
        optional: Any = {kind: [_index(*each) for each in found.items()] for kind, found in kinds.items() if found}
        client.create_table(
            TableName=prefix + name,
            KeySchema=_schema(partition, sort),
            AttributeDefinitions=[
                {"AttributeName": key, "AttributeType": "S"} for key in sorted({partition, *([sort] if sort else []), *keys})
            ],
            BillingMode="PAY_PER_REQUEST",
            **optional,
        )


def _index(name: str, keys: tuple[str, str]) -> dict[str, Any]:
    return {"IndexName": name, "KeySchema": _schema(*keys), "Projection": projection_of(name)}


def projection_of(index: str) -> dict[str, str]:
    return {"ProjectionType": "KEYS_ONLY" if index in KEYS_ONLY else "ALL"}


def _schema(partition: str, sort: str | None) -> list[dict[str, str]]:
    keys = [{"AttributeName": partition, "KeyType": "HASH"}]
    return keys + ([{"AttributeName": sort, "KeyType": "RANGE"}] if sort else [])
