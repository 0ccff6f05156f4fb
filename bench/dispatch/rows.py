"""How large the rows of jobs are as items."""

from collections.abc import Iterator
from typing import Any

from bench.cost.sizes import item_bytes
from gpupool.dynamo import to_item
from gpupool.events.dynamo import event_item
from gpupool.jobs.dynamo import job_item
from gpupool.ledger.dynamo import entry_write
from gpupool.units.dynamo import unit_item
from gpupool.uploads.dynamo import upload_item
from gpupool.world import World

Item = dict[str, Any]


def largest_items(world: World) -> dict[str, int]:
    """Bytes of the largest item of each table that grows with jobs and their units."""
    tables = {
        "jobs": (job_item(job) for job in world.jobs.values()),
        "uploads": (upload_item(upload) for upload in world.uploads.values()),
        "units": (unit_item(unit) for unit in _inner(world.units)),
        "gates": (to_item({"open_needs": {str(need) for need in needs}}) for needs in world.gates.values()),
        "events": (event_item(event) for event in _inner(world.events)),
        "ledger": (entry_write("", transfer)["Item"] for transfer in _inner(world.transfers)),
    }
    return {name: max(map(item_bytes, items), default=0) for name, items in tables.items()}


def _inner(partitions: dict[str, dict[str, Any]]) -> Iterator[Any]:
    return (row for rows in partitions.values() for row in rows.values())
