"""The tables as they are, past every client: for checks, which would otherwise cost more than what they check."""

from collections.abc import Iterator
from typing import Any

from moto.backends import get_backend

from gpupool.dynamo import from_item
from gpupool.events.dynamo import event_from
from gpupool.events.model import Event
from gpupool.jobs.dynamo import job_from
from gpupool.jobs.model import Job
from gpupool.units.dynamo import unit_from
from gpupool.units.model import Unit
from tests.cloud.template import ACCOUNT, REGION

Row = dict[str, Any]


def items(table: str) -> Iterator[Row]:
    """Every item of a table, as attribute values."""
    for item in get_backend("dynamodb")[ACCOUNT][REGION].tables[table].all_items():
        yield item.to_json()["Attributes"]


def rows(table: str) -> list[Row]:
    """Every item of a table, as plain values."""
    return [from_item(item) for item in items(table)]


def jobs() -> list[Job]:
    return sorted(map(job_from, items("jobs")), key=lambda job: job.id)


def units(job_id: str) -> tuple[Unit, ...]:
    """A job's units by index."""
    found = [unit_from(item) for item in items("units") if item["job_id"]["S"] == job_id]
    return tuple(sorted(found, key=lambda unit: unit.index))


def events(job_id: str) -> list[Event]:
    """A job's timeline, oldest first."""
    found = [item for item in items("events") if item["job_id"]["S"] == job_id]
    return [event_from(item) for item in sorted(found, key=lambda item: item["event_key"]["S"])]


def messages(queue: str) -> list[Any]:
    """Every message of a queue, hidden ones included, as moto keeps it."""
    return list(get_backend("sqs")[ACCOUNT][REGION].queues[queue]._messages)
