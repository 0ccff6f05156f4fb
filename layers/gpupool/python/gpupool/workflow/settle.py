"""What follows from an ended unit; shared by the outbox, the rounds and the end of a job, whichever comes first."""

from enum import StrEnum

from gpupool.clock import Clock
from gpupool.ids import unit_id
from gpupool.ledger.model import debit
from gpupool.transitions.store import Transitions
from gpupool.units.decide import is_ready, queued
from gpupool.units.edges import gate_of
from gpupool.units.model import Unit, UnitStatus
from gpupool.units.store import UnitStore
from gpupool.workflow.decide import fans_out
from gpupool.workflow.moves import apply_move


class Opened(StrEnum):
    """What became of the units that wait for a completed one."""

    SOME = "some"  # at least one has what it needs, and was queued
    NONE = "none"  # there are none, or they wait for others too
    LEFT = "left"  # too many for one go: a round opens them


class Settlement:
    def __init__(self, *, transitions: Transitions, units: UnitStore, clock: Clock) -> None:
        self._transitions = transitions
        self._units = units
        self._clock = clock

    def settle(self, unit: Unit) -> bool:
        """Debits a completed unit's credits unless that was done, which it answers. The transfer's id is the unit's."""
        transfer = debit(
            customer_id=unit.customer_id,
            job_id=unit.job_id,
            unit_id=unit.id,
            amount=unit.credits,
            at=self._clock.now(),
            note=unit.name,
        )
        return self._transitions.settle(unit, transfer)

    def conclude(self, unit: Unit) -> Opened:
        """Settles a completed unit, tells its dependents, and queues those that waited for nothing else.

        When it has too many of them for one go, only those that gather are told.
        """
        self.settle(unit)
        queued = self._open_gates(unit)
        if fans_out(unit):
            return Opened.LEFT
        for index in unit.dependents:
            queued = self._open(unit_id(unit.job_id, index), unit.index) or queued
        return Opened.SOME if queued else Opened.NONE

    def _open_gates(self, unit: Unit) -> bool:
        queued = False
        for index in unit.gathered_by:
            gathering = unit_id(unit.job_id, index)
            if self._units.open_gate(gathering, need=unit.index):
                queued = self._open(gathering, gate_of(unit.index)) or queued
        return queued

    def _open(self, dependent: str, need: int) -> bool:
        """Whether the dependent is released now."""
        opened = self._units.open_edge(dependent, need=need, now=self._clock.now())
        known = apply_move(self._units, opened, lambda fresh: queued(fresh, now=self._clock.now()) if is_ready(fresh) else None)
        return known.status is not UnitStatus.WAITING
