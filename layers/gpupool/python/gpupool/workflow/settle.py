"""What follows from a completed unit; shared by the outbox, the execution and the end of a job, whichever comes first."""

from gpupool.clock import Clock
from gpupool.ids import unit_id
from gpupool.ledger.model import debit
from gpupool.transitions.store import Transitions
from gpupool.units.model import Unit
from gpupool.units.store import UnitStore


class Settlement:
    def __init__(self, *, transitions: Transitions, units: UnitStore, clock: Clock) -> None:
        self._transitions = transitions
        self._units = units
        self._clock = clock

    def conclude(self, unit: Unit) -> tuple[Unit, ...]:
        """Pays a completed unit and opens what needs it; the dependents as they are then. Doing it twice is doing it once."""
        self.settle(unit)
        return tuple(self._units.open_edge(unit_id(unit.job_id, index), need=unit.index) for index in unit.dependents)

    def settle(self, unit: Unit) -> None:
        """Debits the unit's credits unless that was done; the transfer's id is the unit's."""
        transfer = debit(
            customer_id=unit.customer_id,
            job_id=unit.job_id,
            unit_id=unit.id,
            amount=unit.credits,
            at=self._clock.now(),
            note=unit.name,
        )
        self._transitions.settle(unit, transfer)
