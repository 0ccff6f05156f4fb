"""Leases: a node claims a unit, keeps it by heartbeats, and reports how it ended. The row alone decides every question."""

from collections.abc import Callable

from gpupool.clock import Clock
from gpupool.dispatch.queue import Queue
from gpupool.jobs.store import JobStore
from gpupool.objects.store import ObjectStore
from gpupool.units.cadence import Cadence
from gpupool.units.claims import Claims
from gpupool.units.heartbeats import Heartbeats
from gpupool.units.inputs import Inputs
from gpupool.units.model import Worker
from gpupool.units.reports import Reports
from gpupool.units.signing import Signing
from gpupool.units.store import UnitStore
from gpupool.wire.units import HeartbeatRequest, HeartbeatResponse


class Leases:
    """The node door's use cases, wired to each other."""

    def __init__(
        self,
        *,
        units: UnitStore,
        jobs: JobStore,
        objects: ObjectStore,
        queue: Queue,
        random_hex: Callable[[int], str],
        clock: Clock,
        cadence: Cadence,
    ) -> None:
        inputs = Inputs(units=units, jobs=jobs, objects=objects)
        signing = Signing(objects)
        claims = Claims(units=units, inputs=inputs, queue=queue, random_hex=random_hex, clock=clock, cadence=cadence)
        reports = Reports(
            units=units,
            inputs=inputs,
            objects=objects,
            signing=signing,
            queue=queue,
            clock=clock,
        )
        self.claim, self.decline = claims.claim, claims.decline
        self.inputs, self.outputs = reports.inputs, reports.outputs
        self.complete, self.fail = reports.complete, reports.fail
        self._heartbeats = Heartbeats(units=units, signing=signing, queue=queue, clock=clock, cadence=cadence)

    def heartbeat(self, worker: Worker, request: HeartbeatRequest) -> HeartbeatResponse:
        """Renews every lease the node names and says which work is not wanted any more."""
        return HeartbeatResponse(
            units=[self._heartbeats.renew(worker, running) for running in request.units],
            heartbeat_seconds=self._heartbeats.next_beat(request.units),
        )
