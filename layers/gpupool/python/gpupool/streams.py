"""Stream records as the rows they speak of."""

from collections.abc import Mapping
from typing import Any

from gpupool.jobs.dynamo import job_from
from gpupool.jobs.model import Job
from gpupool.units.dynamo import unit_from
from gpupool.units.model import Unit

Record = Mapping[str, Any]


def job_change(record: Record) -> tuple[Job | None, Job]:
    """A job before (None when it is new) and after a write."""
    change = record["dynamodb"]
    before = change.get("OldImage")
    return (job_from(before) if before else None), job_from(change["NewImage"])


def unit_change(record: Record) -> tuple[Unit | None, Unit]:
    """A unit before (None when it is new) and after a write."""
    change = record["dynamodb"]
    before = change.get("OldImage")
    return (unit_from(before) if before else None), unit_from(change["NewImage"])
