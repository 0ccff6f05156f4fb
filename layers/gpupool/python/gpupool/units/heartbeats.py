"""Heartbeats: they keep leases up to their deadline, carry progress and bring back what is not wanted any more."""

from collections.abc import Sequence

from gpupool.clock import Clock
from gpupool.dispatch.queue import Queue
from gpupool.units.bells import Bells, seconds_until, served
from gpupool.units.cadence import Cadence
from gpupool.units.decide import said_by_node
from gpupool.units.model import UnitStatus, Worker
from gpupool.units.signing import Signing
from gpupool.units.store import UnitStore
from gpupool.wire.units import RunningUnit, UnitInstruction, UnitVerdict


class Heartbeats:
    def __init__(self, *, units: UnitStore, signing: Signing, queue: Queue, clock: Clock, cadence: Cadence) -> None:
        self._units = units
        self._signing = signing
        self._bells = Bells(queue)
        self._clock = clock
        self._cadence = cadence

    def renew(self, worker: Worker, running: RunningUnit) -> UnitInstruction:
        """Renews one lease and says what to do with its work."""
        now = self._clock.now()
        lease = self._cadence.lease(running.age_seconds)
        progress = said_by_node(running.progress)
        unit = self._units.renew(running.unit_id, lease=running.lease, now=now, expires_at=now + lease, progress=progress)
        if unit is None or unit.lease is None or unit.lease.node_id != worker.node_id:
            return UnitInstruction(unit_id=running.unit_id, verdict=self._verdict(running.unit_id))
        self._bells.hide(served(worker, running.doorway), seconds=seconds_until(unit.lease.expires_at, now=now))
        return UnitInstruction(
            unit_id=running.unit_id,
            verdict=UnitVerdict.CONTINUE,
            lease_expires_at=unit.lease.expires_at,
            lease_seconds=max(0, int((unit.lease.expires_at - now).total_seconds())),
            log_upload=self._signing.log_chunk(unit, running.log_chunk) if running.log_chunk is not None else None,
        )

    def next_beat(self, running: Sequence[RunningUnit]) -> int:
        """Seconds until the machine should call again: what its youngest attempt asks for."""
        return min((self._cadence.next_beat(each.age_seconds) for each in running), default=self._cadence.idle_beat())

    def _verdict(self, unit_id: str) -> UnitVerdict:
        unit = self._units.get(unit_id)
        return UnitVerdict.CANCEL if unit is not None and unit.status is UnitStatus.CANCELLED else UnitVerdict.LEASE_LOST
