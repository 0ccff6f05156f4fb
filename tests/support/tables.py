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
        {"by_customer": ("customer_id", "job_id"), "by_customer_status": ("customer_status", "job_id")},
    ),
    "units": ("job_id", "unit_id", {}),
    "artifacts": ("job_id", "artifact_id", {}),
    "ledger": ("customer_id", "entry_id", {"by_time": ("customer_id", "time_key")}),
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


def create_tables(client: Any, *names: str) -> None:
    """Creates the named tables, all of them when none is named."""
    for name in names or TABLES:
        partition, sort, indexes = TABLES[name]
        attributes = {partition, *([sort] if sort else []), *(key for keys in indexes.values() for key in keys)}
        optional: dict[str, Any] = {}
        if indexes:
            optional["GlobalSecondaryIndexes"] = [
                {"IndexName": index, "KeySchema": _schema(*keys), "Projection": {"ProjectionType": "ALL"}}
                for index, keys in indexes.items()
            ]
        client.create_table(
            TableName=name,
            KeySchema=_schema(partition, sort),
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in sorted(attributes)],
            BillingMode="PAY_PER_REQUEST",
            **optional,
        )


def _schema(partition: str, sort: str | None) -> list[dict[str, str]]:
    keys = [{"AttributeName": partition, "KeyType": "HASH"}]
    return keys + ([{"AttributeName": sort, "KeyType": "RANGE"}] if sort else [])
