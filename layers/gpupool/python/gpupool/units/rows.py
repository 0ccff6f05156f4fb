"""What the use cases share: rows that must be there, and the one answer to a lease that is lost."""

from typing import TypeVar

from gpupool.errors import Conflict
from gpupool.wire.errors import NodeErrorCode

T = TypeVar("T")


def present(row: T | None) -> T:
    """A row whose presence was decided before; its absence means that the tables contradict each other."""
    if row is None:
        raise LookupError("a row that others point to is missing")
    return row


def lease_lost() -> Conflict:
    return Conflict("Another attempt has the unit, or it is over; stop the work.", code=NodeErrorCode.LEASE_LOST)
