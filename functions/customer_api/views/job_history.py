"""How events and logs look to the job's owner."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from functions.customer_api.answers import View, moment
from gpupool.events.model import Event
from gpupool.events.sentences import sentence

if TYPE_CHECKING:
    from gpupool.logs.model import LogPage


def event(row: Event) -> View:
    return {
        "id": row.id,
        "type": row.type,
        "at": moment(row.at),
        "job_id": row.job_id,
        "unit_id": row.data.get("unit_id"),
        "message": sentence(row),
        "data": row.data,
    }


def log(page: "LogPage") -> View:
    return asdict(page)
