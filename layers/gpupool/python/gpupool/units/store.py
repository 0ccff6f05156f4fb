"""Where units are kept."""

from datetime import datetime
from typing import Protocol

from gpupool.pages import Key, Page
from gpupool.units.edges import Gate
from gpupool.units.model import Unit
from gpupool.wire.units import Lease, Progress


class UnitStore(Protocol):
    """Every read is consistent: units decide about leases and money."""

    def add_all(self, units: tuple[Unit, ...]) -> None:
        """Adds units; those that exist stay as they are, so adding a plan twice changes nothing."""

    def get(self, unit_id: str) -> Unit | None: ...

    def all_of(self, job_id: str) -> tuple[Unit, ...]:
        """A job's units by index."""

    def page(self, job_id: str, *, limit: int, key: Key | None) -> Page[Unit]: ...

    def replace(self, unit: Unit) -> Unit:
        """Writes ``unit`` over the version it was made from and returns it with the next one; StaleWrite otherwise."""

    def renew(self, unit_id: str, *, lease: Lease, now: datetime, expires_at: datetime, progress: Progress) -> Unit | None:
        """Extends a running lease, to its deadline at most, in one conditional write.

        None when that attempt does not hold the unit any more, or when the lease's deadline is not after ``now``.
        """

    def open_edge(self, unit_id: str, *, need: int, now: datetime) -> Unit:
        """Takes one met need (or gate) out and returns the unit; doing it twice is the same as once.

        A waiting unit that waited for nothing else is queued by the same write; unless two needs are taken out at once, when
        the answer may be a unit that waits for nothing, which is the caller's to queue.
        """

    def add_gates(self, gates: tuple[Gate, ...]) -> None:
        """Adds gates; those that exist stay as they are."""

    def open_gate(self, unit_id: str, *, need: int) -> bool:
        """Takes one met need out of its gate; whether the gate is empty now. Doing it twice is the same as once."""
