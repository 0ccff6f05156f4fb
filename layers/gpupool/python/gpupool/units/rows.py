"""What the use cases share: rows that must be there, and the one answer to a lease that is lost."""

from typing import TypeVar

from gpupool.errors import Conflict
from gpupool.ids import job_of, unit_id
from gpupool.pages import Key
from gpupool.wire.errors import NodeErrorCode

T = TypeVar("T")


def present(row: T | None) -> T:
    """A row whose presence was decided before; its absence means that the tables contradict each other."""
    if row is None:
        raise LookupError("a row that others point to is missing")
    return row


def key_before(unit: str) -> Key | None:
    """The key of a page that begins with the unit of this id."""
    job_id, index = job_of(unit), int(unit.rpartition(".")[2])
    return {"job_id": job_id, "unit_id": unit_id(job_id, index - 1)} if index else None


def lease_lost() -> Conflict:
    return Conflict("Another attempt has the unit, or it is over; stop the work.", code=NodeErrorCode.LEASE_LOST)
