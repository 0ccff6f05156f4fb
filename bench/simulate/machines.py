"""A paired machine that does what it is told; its calls are those of the node door."""

import hashlib

from gpupool.bootstrap import NodeCore
from gpupool.dispatch.memory import MemoryQueue, Received
from gpupool.nodes.model import Tier
from gpupool.objects.memory import MemoryObjectStore
from gpupool.units.model import Worker
from gpupool.wire.capabilities import Capabilities
from gpupool.wire.failures import FailureCode
from gpupool.wire.joining import PairRequest
from gpupool.wire.units import (
    CompleteRequest,
    Doorway,
    FailRequest,
    HeartbeatRequest,
    HeartbeatResponse,
    InputsRequest,
    Lease,
    LogChunk,
    OutputFile,
    OutputsRequest,
    Progress,
    ReportResponse,
    RunningUnit,
    UnitGrant,
)
from gpupool.wire.vocabulary import ArtifactKind, UnitRole

LEAVES_A_MODEL = (UnitRole.TRAIN, UnitRole.PACKAGE, UnitRole.SELECT)
# What every report says that it measured.
MEASURED = "seconds"
PEAK_MB = 77


class Machine:
    """``queue`` and ``objects`` are what it reaches without us: SQS, and the bucket behind presigned URLs. ``pages``: it reads
    more needs than come with a claim."""

    def __init__(
        self,
        core: NodeCore,
        queue: MemoryQueue,
        objects: MemoryObjectStore,
        *,
        tier: Tier,
        capabilities: Capabilities,
        pages: bool = True,
    ) -> None:
        self.pages = pages
        self._queue = queue
        self._objects = objects
        code = core.pairing.create_code(tier)
        paired = core.pairing.redeem(PairRequest(code=code, name="a machine", capabilities=capabilities))
        node = core.nodes.authenticate(f"Bearer {paired.device_key}")
        self.worker: Worker = core.nodes.worker(node)
        self._leases = core.leases
        self._doorways: dict[str, Doorway] = {}

    def receive(self) -> Received | None:
        """One message from the queues it may receive from."""
        found = (self._queue.receive(url) for url in sorted(self.worker.queue_urls))
        return next((message for message in found if message is not None), None)

    def claim(self, bell: Received) -> UnitGrant:
        grant = self._leases.claim(self.worker, bell.bell.unit_id, bell.doorway, pages=self.pages)
        self._doorways[grant.lease_token] = bell.doorway
        return grant

    def doorway(self, grant: UnitGrant) -> Doorway | None:
        """How it claimed the unit; None for another machine's grant."""
        return self._doorways.get(grant.lease_token)

    def take(self) -> UnitGrant:
        """The next unit that rings for it."""
        bell = self.receive()
        assert bell is not None, "no bell rings"
        return self.claim(bell)

    def heartbeat(
        self,
        *grants: UnitGrant,
        fraction: float | None = None,
        stage: str = "running",
        log: LogChunk | None = None,
        age: int = 0,
        **metrics: float,
    ) -> HeartbeatResponse:
        progress = Progress(fraction=fraction, stage=stage, metrics=metrics)
        running = [
            RunningUnit(
                unit_id=each.unit_id,
                lease=lease_of(each),
                doorway=self.doorway(each),
                age_seconds=age,
                progress=progress,
                log_chunk=log,
            )
            for each in grants
        ]
        return self._leases.heartbeat(self.worker, HeartbeatRequest(units=running))

    def upload(self, grant: UnitGrant, body: bytes, *, name: str = "model.tar.gz") -> OutputFile:
        file = model_file(body, name=name)
        self._objects.put(self.place_of(grant, file), body)
        return file

    def place_of(self, grant: UnitGrant, file: OutputFile) -> str:
        """The key that a presigned upload of the file writes to."""
        request = OutputsRequest(lease=lease_of(grant), files=[file])
        signed = self._leases.outputs(self.worker, grant.unit_id, request).uploads[file.name]
        return signed.url.removeprefix("memory://").partition("?")[0]

    def needs(self, grant: UnitGrant) -> list[str]:
        """Ids of all that the unit needs, read page after page as an agent does."""
        found, cursor = [each.unit_id for each in grant.needs], grant.more_needs
        while cursor is not None:
            request = InputsRequest(lease=lease_of(grant), cursor=cursor)
            page = self._leases.inputs(self.worker, grant.unit_id, request)
            found += [each.unit_id for each in page.needs]
            cursor = page.more_needs
        return found

    def named(self, grant: UnitGrant, unit_ids: list[str]) -> list[str]:
        """Ids of those among the named that the unit needs."""
        request = InputsRequest(lease=lease_of(grant), only=unit_ids)
        return [each.unit_id for each in self._leases.inputs(self.worker, grant.unit_id, request).needs]

    def complete(
        self, grant: UnitGrant, *, runtime_seconds: float = 1, outputs: tuple[OutputFile, ...] | None = None
    ) -> ReportResponse:
        """Reports success; by default with a model where the unit's role asks for one."""
        files = self._model(grant) if outputs is None else outputs
        request = CompleteRequest(
            lease=lease_of(grant),
            doorway=self.doorway(grant),
            outputs=list(files),
            metrics={MEASURED: runtime_seconds},
            peak_memory_mb=PEAK_MB,
            runtime_seconds=runtime_seconds,
        )
        return self._leases.complete(self.worker, grant.unit_id, request)

    def fail(
        self, grant: UnitGrant, code: FailureCode, *, message: str = "It broke.", runtime_seconds: float = 0
    ) -> ReportResponse:
        request = FailRequest(
            lease=lease_of(grant),
            doorway=self.doorway(grant),
            code=code,
            message=message,
            runtime_seconds=runtime_seconds,
        )
        return self._leases.fail(self.worker, grant.unit_id, request)

    def _model(self, grant: UnitGrant) -> tuple[OutputFile, ...]:
        """A model that lies where an upload would have put it, also for who may not upload any more."""
        if grant.role not in LEAVES_A_MODEL:
            return ()
        body = b"a model"
        file = model_file(body)
        self._objects.put(f"jobs/{grant.job_id}/{grant.unit_id}/{grant.attempt}/{file.name}", body)
        return (file,)


def model_file(body: bytes, *, name: str = "model.tar.gz") -> OutputFile:
    """A model as a report declares it."""
    return OutputFile(name=name, kind=ArtifactKind.MODEL, size_bytes=len(body), sha256=hashlib.sha256(body).hexdigest())


def lease_of(grant: UnitGrant) -> Lease:
    return Lease(attempt=grant.attempt, lease_token=grant.lease_token)
