"""Paying for a completed unit; shared by the outbox and by the end of a job, whichever comes first."""

from gpupool.clock import Clock
from gpupool.ledger.model import debit
from gpupool.transitions.store import Transitions
from gpupool.units.model import Unit


class Settlement:
    def __init__(self, *, transitions: Transitions, clock: Clock) -> None:
        self._transitions = transitions
        self._clock = clock

    def settle(self, unit: Unit) -> None:
        """Debits the unit's credits unless that was done; the transfer's id is the unit's."""
        transfer = debit(
            customer_id=unit.customer_id, job_id=unit.job_id, unit_id=unit.id, amount=unit.credits, at=self._clock.now()
        )
        self._transitions.settle(unit, transfer)
