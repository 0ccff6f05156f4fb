"""A machine that has whatever it is asked for in no time."""

import hashlib

from gpupool.bootstrap import build_node_core
from gpupool.dispatch.memory import Received
from gpupool.nodes.model import Tier
from gpupool.twins import MemoryPorts
from gpupool.wire.capabilities import Capabilities
from gpupool.wire.joining import PairRequest
from gpupool.wire.units import CompleteRequest, HeartbeatRequest, Lease, OutputFile, Progress, RunningUnit, UnitGrant
from gpupool.wire.vocabulary import ArtifactKind

_METRICS = b'{"epoch": 1, "loss": 0.5}\n'
_FILE = OutputFile(
    name="metrics.jsonl", kind=ArtifactKind.METRICS, size_bytes=len(_METRICS), sha256=hashlib.sha256(_METRICS).hexdigest()
)
_PROGRESS = Progress(fraction=0.5, stage="running", metrics={"loss": 0.5})


class Node:
    """A paired machine; its calls are those of the node door, behind the check of its key."""

    def __init__(self, ports: MemoryPorts) -> None:
        core = build_node_core(ports)
        code = core.pairing.create_code(Tier.COMMUNITY)
        paired = core.pairing.redeem(PairRequest(code=code, name="bench", capabilities=_capabilities()))
        self.worker = core.nodes.worker(core.nodes.authenticate(f"Bearer {paired.device_key}"))
        self.leases = core.leases
        self._queue = ports.queue
        self._objects = ports.objects

    def take(self) -> UnitGrant | None:
        """The next unit that rings; None when none does."""
        bell = self._receive()
        return self.leases.claim(self.worker, bell.bell.unit_id, bell.doorway) if bell else None

    def heartbeat(self, held: UnitGrant) -> None:
        running = RunningUnit(unit_id=held.unit_id, lease=_lease(held), progress=_PROGRESS)
        self.leases.heartbeat(self.worker, HeartbeatRequest(units=[running]))

    def complete(self, held: UnitGrant) -> None:
        """Reports a result with one file, which lies where an upload would have put it."""
        self._objects.put(f"jobs/{held.job_id}/{held.unit_id}/{held.attempt}/{_FILE.name}", _METRICS)
        self.leases.complete(self.worker, held.unit_id, report(held))

    def _receive(self) -> Received | None:
        found = (self._queue.receive(url) for url in sorted(self.worker.queue_urls))
        return next((message for message in found if message is not None), None)


def report(held: UnitGrant) -> CompleteRequest:
    return CompleteRequest(lease=_lease(held), outputs=[_FILE], metrics={"loss": 0.5}, runtime_seconds=1)


def _lease(held: UnitGrant) -> Lease:
    return Lease(attempt=held.attempt, lease_token=held.lease_token)


def _capabilities() -> Capabilities:
    return Capabilities(
        cpu_count=8, memory_mb=16_000, disk_free_mb=50_000, gpus=[], gflops=1.0, sandbox="bubblewrap", python="3.11"
    )
