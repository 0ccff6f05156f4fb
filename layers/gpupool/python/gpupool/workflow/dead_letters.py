"""What to do with a doorbell that rang too often. Receives say nothing about a unit: its row decides."""

from gpupool.clock import Clock
from gpupool.dispatch.queue import Queue
from gpupool.errors import StaleWrite
from gpupool.jobs.store import JobStore
from gpupool.units import decide
from gpupool.units.model import Unit, UnitStatus
from gpupool.units.store import UnitStore
from gpupool.wire.joining import Doorbell

_NEEDS_A_BELL = frozenset({UnitStatus.QUEUED, UnitStatus.RUNNING})


class DeadLetters:
    def __init__(self, *, jobs: JobStore, units: UnitStore, queue: Queue, clock: Clock) -> None:
        self._jobs = jobs
        self._units = units
        self._queue = queue
        self._clock = clock

    def handle(self, bell: Doorbell) -> None:
        """Rings again while somebody may still come, fails the unit when nobody came to its job for a day, else lets the bell
        go."""
        unit = self._units.get(bell.unit_id)
        if unit is None or unit.status not in _NEEDS_A_BELL:
            return
        if self._is_stale(unit):
            self._give_up(unit)
            return
        again = Doorbell(job_id=unit.job_id, unit_id=unit.id, attempt=unit.attempt)
        self._queue.ring(self._queue.queue_url(unit.pool, unit.capability), again, group=unit.customer_id)

    def _is_stale(self, unit: Unit) -> bool:
        now = self._clock.now()
        if not decide.bell_is_stale(unit, now=now):
            return False
        job = self._jobs.get(unit.job_id)
        return job is None or decide.bell_is_stale(unit, progressed_at=job.progressed_at, now=now)

    def _give_up(self, unit: Unit) -> None:
        try:
            self._units.replace(decide.undeliverable(unit, now=self._clock.now()))
        except StaleWrite:
            # Somebody claimed it this very moment; its bell must not fall silent.
            self.handle(Doorbell(job_id=unit.job_id, unit_id=unit.id, attempt=unit.attempt))
