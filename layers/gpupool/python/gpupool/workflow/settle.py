"""What follows from an ended unit; shared by the outbox, the rounds and the end of a job, whichever comes first."""

from enum import StrEnum

from gpupool.clock import Clock
from gpupool.ids import unit_id
from gpupool.jobs.store import JobStore
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

    SOME = "some"  # at least one of its own class has what it needs, and was queued
    NONE = "none"  # there are none, or they are of other classes, or wait for others too
    LEFT = "left"  # too many for one go: a round opens them


class Settlement:
    def __init__(self, *, jobs: JobStore, transitions: Transitions, units: UnitStore, clock: Clock) -> None:
        self._jobs = jobs
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
        """Tells a completed unit's dependents, queues those that waited for nothing else, and settles it.

        When it has too many of them for one go, only those that gather are told, and the job notes that a round is to open the
        others. The debit comes last: where it is missing, a round does all of this again; where it is there, all was done.
        """
        if fans_out(unit):
            self._jobs.note_fan_out(unit.job_id, unit.index)
            opened = Opened.LEFT
            self._open_gates(unit)
        else:
            released = self._open_gates(unit) + [self._open(index, unit.index, unit) for index in unit.dependents]
            opened = Opened.SOME if any(each.capability == unit.capability for each in filter(None, released)) else Opened.NONE
        self.settle(unit)
        return opened

    def _open_gates(self, unit: Unit) -> list[Unit | None]:
        return [
            self._open(index, gate_of(unit.index), unit)
            for index in unit.gathered_by
            if self._units.open_gate(unit_id(unit.job_id, index), need=unit.index)
        ]

    def _open(self, index: int, need: int, done: Unit) -> Unit | None:
        """The dependent of a completed unit, once it is released; None while it waits."""
        opened = self._units.open_edge(unit_id(done.job_id, index), need=need, now=self._clock.now())
        known = apply_move(self._units, opened, lambda fresh: queued(fresh, now=self._clock.now()) if is_ready(fresh) else None)
        return None if known.status is UnitStatus.WAITING else known
