"""The units this node holds leases for, and what heartbeats and jobs tell each other about them."""

import logging
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from gpupool.wire import units as wire
from node_agent.agent_log import log_event
from node_agent.errors import AbandonedError
from node_agent.logs import UnitLog
from node_agent.metrics import MetricsReader
from node_agent.sandbox import RunningUnit

logger = logging.getLogger(__name__)


class Stage(StrEnum):
    """Where a unit stands, as customers read it."""

    FETCHING = "fetching"
    BUILDING = "building environment"
    RUNNING = "running"
    UPLOADING = "uploading"


class AbandonReason(StrEnum):
    """Why work ends before its end. Only DRAINED is reported: with the others the lease is no longer ours."""

    CANCELLED = "cancelled"
    LEASE_LOST = "lease_lost"
    LEASE_LAPSED = "lease_lapsed"
    DRAINED = "drained"


class UnitInHand:
    """One lease and the work under it. Thread-safe; the first reason to abandon it stands.

    ``doorway``: how it was claimed. The control plane keeps no note of it, so that every beat and the report say it again.
    """

    def __init__(
        self,
        grant: wire.UnitGrant,
        *,
        folder: Path,
        lease_ends: float,
        doorway: wire.Doorway | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.grant = grant
        self.doorway = doorway
        self.folder = folder
        self.lease = wire.Lease(attempt=grant.attempt, lease_token=grant.lease_token)
        self.abandoned = threading.Event()
        self.shipping_log = False
        self._lock = threading.Lock()
        self._reason: AbandonReason | None = None
        self._lease_ends = lease_ends
        self._clock = clock
        self._claimed_at = clock()
        self._running: RunningUnit | None = None
        self._stage = Stage.FETCHING
        self._metrics = MetricsReader()
        self._log: UnitLog | None = None

    @property
    def unit_id(self) -> str:
        return self.grant.unit_id

    @property
    def reason(self) -> AbandonReason | None:
        return self._reason

    @property
    def stage(self) -> Stage:
        return self._stage

    @property
    def log(self) -> UnitLog | None:
        return self._log

    def enter(self, stage: Stage) -> None:
        """Go on to ``stage``, unless the work was abandoned: then ``AbandonedError``."""
        self.raise_if_abandoned()
        self._stage = stage

    def raise_if_abandoned(self) -> None:
        if self.abandoned.is_set():
            raise AbandonedError(self._reason or "abandoned")

    def open_log(self) -> UnitLog:
        self._log = UnitLog(self.folder / "log.txt", limit_bytes=self.grant.limits.log_bytes)
        return self._log

    def on_output(self, data: bytes) -> None:
        """What the unit printed, from the sandbox's thread."""
        if self._log is not None:
            self._log.append(data)
        with self._lock:
            self._metrics.feed(data)

    def attach(self, running: RunningUnit) -> None:
        """From now on abandoning ends ``running``, also when that was asked for a moment ago."""
        with self._lock:
            self._running = running
            ended_already = self._reason is not None
        if ended_already:
            running.cancel()

    def abandon(self, reason: AbandonReason) -> None:
        """Order the work to end. Returns at once."""
        with self._lock:
            if self._reason is not None:
                return
            self._reason = reason
            running = self._running
        log_event(logger, "unit.abandoned", unit=self.unit_id, attempt=self.lease.attempt, reason=reason.value)
        self.abandoned.set()
        if running is not None:
            running.cancel()

    def renew(self, *, lease_ends: float) -> None:
        self._lease_ends = max(self._lease_ends, lease_ends)

    def lapsed_for(self, now: float) -> float:
        """Seconds since the lease surely lapsed, by this host's monotonic clock; negative while it may hold."""
        return now - self._lease_ends

    def metrics(self) -> dict[str, float]:
        with self._lock:
            return dict(self._metrics.latest)

    def progress(self) -> wire.Progress:
        with self._lock:
            return wire.Progress(fraction=self._metrics.fraction, stage=self._stage.value, metrics=dict(self._metrics.latest))

    def heartbeat_entry(self) -> wire.RunningUnit:
        chunk = self._log.chunk() if self._log is not None and not self.shipping_log else None
        waiting = wire.LogChunk(seq=chunk.seq, size_bytes=len(chunk.content), sha256=chunk.sha256) if chunk else None
        return wire.RunningUnit(
            unit_id=self.unit_id,
            lease=self.lease,
            doorway=self.doorway,
            age_seconds=int(self._clock() - self._claimed_at),
            progress=self.progress(),
            log_chunk=waiting,
        )


class UnitsInHand:
    """Every lease of this node, one per unit."""

    def __init__(self) -> None:
        # A new lease is short, however long the next heartbeat would have been off.
        self.added = threading.Event()
        self._lock = threading.Lock()
        self._units: dict[str, UnitInHand] = {}

    def add(self, unit: UnitInHand) -> None:
        """A second lease on a unit proves that the first one was taken away, before a heartbeat said so."""
        with self._lock:
            before = self._units.get(unit.unit_id)
            self._units[unit.unit_id] = unit
        self.added.set()
        if before is not None:
            before.abandon(AbandonReason.LEASE_LOST)

    def remove(self, unit: UnitInHand) -> None:
        with self._lock:
            if self._units.get(unit.unit_id) is unit:
                del self._units[unit.unit_id]

    def holds(self, unit: UnitInHand) -> bool:
        with self._lock:
            return self._units.get(unit.unit_id) is unit

    def all(self) -> list[UnitInHand]:
        with self._lock:
            return list(self._units.values())

    def abandon_all(self, reason: AbandonReason) -> None:
        for unit in self.all():
            unit.abandon(reason)
