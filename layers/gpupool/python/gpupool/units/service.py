"""Leases: a node claims a unit, keeps it by heartbeats, and reports how it ended. The row alone decides every question."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from gpupool.artifacts.model import Artifact
from gpupool.artifacts.store import ArtifactStore
from gpupool.clock import Clock
from gpupool.dispatch.model import check_doorway
from gpupool.dispatch.queue import Queue
from gpupool.errors import Conflict, StaleWrite
from gpupool.ids import artifact_id
from gpupool.ids import unit_id as id_of
from gpupool.jobs.store import JobStore
from gpupool.objects.store import URL_SECONDS, ObjectStore
from gpupool.planning.pricing import charge
from gpupool.transitions.store import Transitions
from gpupool.units import decide
from gpupool.units.decide import Refusal, Standing
from gpupool.units.grant import build_grant
from gpupool.units.model import LeaseState, Unit, UnitStatus, Worker
from gpupool.units.store import UnitStore
from gpupool.wire.errors import NodeErrorCode
from gpupool.wire.units import (
    CompleteRequest,
    Doorway,
    FailRequest,
    HeartbeatRequest,
    HeartbeatResponse,
    Lease,
    OutputFile,
    OutputsRequest,
    OutputsResponse,
    ReportResponse,
    RunningUnit,
    UnitGrant,
    UnitInstruction,
    UnitVerdict,
)
from gpupool.wire.units import Upload as SignedUpload

T = TypeVar("T")

# The bell stays hidden a little longer than the lease, so that it never rings while the lease still holds.
_BELL_SLACK_SECONDS = 1
_UNSUITABLE_SECONDS = 5
_OUTPUT_TYPE = "application/octet-stream"
_LOG_TYPE = "text/plain"


class Leases:
    """The node door's one service."""

    def __init__(
        self,
        *,
        units: UnitStore,
        jobs: JobStore,
        artifacts: ArtifactStore,
        transitions: Transitions,
        objects: ObjectStore,
        queue: Queue,
        clock: Clock,
        lease_seconds: int,
        heartbeat_seconds: int,
    ) -> None:
        self._units = units
        self._jobs = jobs
        self._artifacts = artifacts
        self._transitions = transitions
        self._objects = objects
        self._queue = queue
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._heartbeat_seconds = heartbeat_seconds

    def claim(self, worker: Worker, unit_id: str, doorway: Doorway) -> UnitGrant:
        """A new lease on the unit, or 409 with what the node should do; the bell is answered either way."""
        check_doorway(doorway, served=worker.queue_urls)
        while True:
            unit = self._units.get(unit_id)
            now = self._clock.now()
            if decide.holds_already(unit, worker, doorway, now=now):
                return self._grant(_present(unit))
            own_bell = unit is not None and doorway.queue_url == self._queue.queue_url(unit.pool, unit.capability)
            refusal = decide.refuse_claim(unit, worker, own_bell=own_bell, now=now)
            try:
                if refusal is not None:
                    raise self._refuse(unit, refusal, doorway)
                return self._lease(_present(unit), worker, doorway)
            except StaleWrite:
                continue

    def decline(self, worker: Worker, doorway: Doorway) -> None:
        """Rings the bell for others at once; whether the unit still needs anybody is decided by whoever comes next."""
        check_doorway(doorway, served=worker.queue_urls)
        self._queue.hide(doorway, seconds=0)

    def heartbeat(self, worker: Worker, request: HeartbeatRequest) -> HeartbeatResponse:
        """Renews every lease the node names and says which work is not wanted any more."""
        return HeartbeatResponse(
            units=[self._renew(worker, running) for running in request.units], heartbeat_seconds=self._heartbeat_seconds
        )

    def outputs(self, worker: Worker, unit_id: str, request: OutputsRequest) -> OutputsResponse:
        """Presigned uploads for exactly the declared bytes, under the attempt's own folder."""
        unit = self._held(worker, unit_id, request.lease)
        return OutputsResponse(uploads={file.name: self._presign(unit, file) for file in request.files})

    def complete(self, worker: Worker, unit_id: str, request: CompleteRequest) -> ReportResponse:
        """Ends the unit with a result; what follows from that (the debit, the next units) follows from the write."""

        def move(unit: Unit) -> Unit:
            now = self._clock.now()
            runtime = decide.observed_runtime(unit, reported=request.runtime_seconds, now=now)
            done = decide.completed(
                unit,
                lease=request.lease,
                metrics=request.metrics,
                runtime_seconds=runtime,
                credits=charge(unit.credits_max, unit.capability, runtime),
                now=now,
            )
            return replace(done, peak_memory_mb=request.peak_memory_mb)

        return self._report(worker, unit_id, request.lease, request.outputs, move)

    def fail(self, worker: Worker, unit_id: str, request: FailRequest) -> ReportResponse:
        """Ends the attempt without a result; the unit is queued again or failed for good."""
        return self._report(
            worker, unit_id, request.lease, request.outputs, lambda unit: decide.failed(unit, request, now=self._clock.now())
        )

    def _lease(self, unit: Unit, worker: Worker, doorway: Doorway) -> UnitGrant:
        now = self._clock.now()
        terms = decide.Terms(secrets.token_urlsafe(24), now + timedelta(seconds=self._lease_seconds), doorway)
        leased = self._units.replace(decide.claimed(unit, worker, terms, now=now))
        self._queue.hide(doorway, seconds=self._lease_seconds + _BELL_SLACK_SECONDS)
        return self._grant(leased)

    def _grant(self, unit: Unit) -> UnitGrant:
        job = _present(self._jobs.get(unit.job_id))
        lease: LeaseState = _present(unit.lease)
        needs = tuple(_present(self._units.get(id_of(unit.job_id, index))) for index in unit.needs)
        with_artifacts = tuple((need, self._artifacts.of_unit(need.id)) for need in needs)
        return build_grant(unit, lease, job, with_artifacts, self._download_url)

    def _download_url(self, key: str, filename: str) -> str:
        return self._objects.presign_get(key, filename=filename, expires_seconds=URL_SECONDS)

    def _refuse(self, unit: Unit | None, refusal: Refusal, doorway: Doorway) -> Conflict:
        """Answers the bell and says why the claim was refused."""
        if refusal is Refusal.EXHAUSTED:
            self._units.replace(decide.exhausted(_present(unit), now=self._clock.now()))
        if refusal in (Refusal.EXHAUSTED, Refusal.GONE):
            self._queue.silence(doorway)
            return Conflict("The unit needs nobody any more.", code=NodeErrorCode.UNIT_GONE)
        if refusal is Refusal.NOT_SUITABLE:
            # Not at once: in a pool of one machine that is too small, the bell would ring itself into the dead letters.
            self._queue.hide(doorway, seconds=_UNSUITABLE_SECONDS)
            return Conflict("The unit needs more VRAM or disk than this machine has.", code=NodeErrorCode.UNIT_NOT_SUITABLE)
        lease: LeaseState = _present(_present(unit).lease)
        left = (lease.expires_at - self._clock.now()).total_seconds()
        self._queue.hide(doorway, seconds=max(0, int(left) + _BELL_SLACK_SECONDS))
        return Conflict("Another node holds the unit.", code=NodeErrorCode.UNIT_LEASED)

    def _renew(self, worker: Worker, running: RunningUnit) -> UnitInstruction:
        expires_at = self._clock.now() + timedelta(seconds=self._lease_seconds)
        unit = self._units.renew(running.unit_id, lease=running.lease, expires_at=expires_at, progress=running.progress)
        if unit is None or unit.lease is None or unit.lease.node_id != worker.node_id:
            return UnitInstruction(unit_id=running.unit_id, verdict=self._verdict(running.unit_id))
        doorway = Doorway(queue_url=unit.lease.queue_url, receipt_handle=unit.lease.receipt_handle)
        self._queue.hide(doorway, seconds=self._lease_seconds + _BELL_SLACK_SECONDS)
        return UnitInstruction(
            unit_id=running.unit_id,
            verdict=UnitVerdict.CONTINUE,
            lease_expires_at=expires_at,
            log_upload=self._log_upload(unit, running),
        )

    def _verdict(self, unit_id: str) -> UnitVerdict:
        unit = self._units.get(unit_id)
        return UnitVerdict.CANCEL if unit is not None and unit.status is UnitStatus.CANCELLED else UnitVerdict.LEASE_LOST

    def _log_upload(self, unit: Unit, running: RunningUnit) -> SignedUpload | None:
        chunk = running.log_chunk
        if chunk is None:
            return None
        key = f"logs/{unit.job_id}/{unit.id}/{unit.attempt}/{chunk.seq:06d}.txt"
        return self._signed(key, size_bytes=chunk.size_bytes, sha256=chunk.sha256, content_type=_LOG_TYPE)

    def _held(self, worker: Worker, unit_id: str, lease: Lease) -> Unit:
        unit = self._units.get(unit_id)
        if decide.standing(unit, lease) is not Standing.HOLDS or _present(_present(unit).lease).node_id != worker.node_id:
            raise _lease_lost()
        return _present(unit)

    def _report(
        self, worker: Worker, unit_id: str, lease: Lease, outputs: list[OutputFile], move: Callable[[Unit], Unit]
    ) -> ReportResponse:
        while True:
            unit = self._units.get(unit_id)
            standing = decide.standing(unit, lease)
            if standing is Standing.REPEATED:
                return ReportResponse(unit_id=unit_id, status=_present(unit).status, accepted=False)
            held = self._held(worker, unit_id, lease)
            ended = move(held)
            artifacts = self._verified(held, outputs) if ended.is_final else ()
            try:
                self._transitions.finish_unit(ended, artifacts)
            except StaleWrite:
                continue
            bell: LeaseState = _present(held.lease)
            self._queue.silence(Doorway(queue_url=bell.queue_url, receipt_handle=bell.receipt_handle))
            return ReportResponse(unit_id=unit_id, status=ended.status)

    def _verified(self, unit: Unit, outputs: list[OutputFile]) -> tuple[Artifact, ...]:
        return tuple(self._verify(unit, file) for file in outputs)

    def _verify(self, unit: Unit, file: OutputFile) -> Artifact:
        """The artifact of an uploaded file; the bucket, not the node, says what was stored."""
        key = _output_key(unit, file.name)
        head = self._objects.head(key)
        if head is None or (head.size_bytes, head.sha256) != (file.size_bytes, file.sha256):
            raise Conflict(
                f"The upload {file.name} is absent or differs from what was declared; upload it again.",
                code=NodeErrorCode.OUTPUT_MISSING,
                field="/outputs",
            )
        return Artifact(
            id=artifact_id(unit.id, file.name),
            job_id=unit.job_id,
            unit_id=unit.id,
            kind=file.kind,
            name=file.name,
            size_bytes=file.size_bytes,
            sha256=file.sha256,
            key=key,
            created_at=self._clock.now(),
        )

    def _presign(self, unit: Unit, file: OutputFile) -> SignedUpload:
        key = _output_key(unit, file.name)
        return self._signed(key, size_bytes=file.size_bytes, sha256=file.sha256, content_type=_OUTPUT_TYPE)

    def _signed(self, key: str, *, size_bytes: int, sha256: str, content_type: str) -> SignedUpload:
        signed = self._objects.presign_put(
            key, size_bytes=size_bytes, sha256=sha256, content_type=content_type, expires_seconds=URL_SECONDS
        )
        return SignedUpload(method=signed.method, url=signed.url, headers=signed.headers)


def _output_key(unit: Unit, name: str) -> str:
    return f"jobs/{unit.job_id}/{unit.id}/{unit.attempt}/{name}"


def _lease_lost() -> Conflict:
    return Conflict("Another attempt has the unit, or it is over; stop the work.", code=NodeErrorCode.LEASE_LOST)


def _present(row: T | None) -> T:
    """A row whose presence was decided before; its absence means that the tables contradict each other."""
    if row is None:
        raise LookupError("a row that others point to is missing")
    return row
