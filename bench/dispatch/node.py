"""A machine that has whatever it is asked for in no time."""

import hashlib
from collections.abc import Callable

from gpupool.bootstrap import build_node_core
from gpupool.nodes.model import Tier
from gpupool.ports import Ports
from gpupool.wire.capabilities import Capabilities
from gpupool.wire.joining import PairRequest
from gpupool.wire.units import (
    CompleteRequest,
    Doorway,
    HeartbeatRequest,
    InputsRequest,
    Lease,
    OutputFile,
    Progress,
    RunningUnit,
    UnitGrant,
)
from gpupool.wire.vocabulary import ArtifactKind, UnitRole

_BODY = b'{"epoch": 1, "loss": 0.5}\n'
_LEAVES_A_MODEL = frozenset({UnitRole.TRAIN, UnitRole.PACKAGE, UnitRole.SELECT})
_PROGRESS = Progress(fraction=0.5, stage="running", metrics={"loss": 0.5})


class Node:
    """A paired machine; its calls are those of the node door, behind the check of its key."""

    def __init__(self, ports: Ports, *, put: Callable[[str, bytes], None]) -> None:
        """``put(key, body)`` uploads an object."""
        core = build_node_core(ports)
        code = core.pairing.create_code(Tier.COMMUNITY)
        paired = core.pairing.redeem(PairRequest(code=code, name="bench", capabilities=_capabilities()))
        self.worker = core.nodes.worker(core.nodes.authenticate(f"Bearer {paired.device_key}"))
        self._leases = core.leases
        self._put = put
        self._doorways: dict[str, Doorway] = {}

    def claim(self, unit_id: str, doorway: Doorway) -> UnitGrant:
        held = self._leases.claim(self.worker, unit_id, doorway)
        self._doorways[held.lease_token] = doorway
        return held

    def more_needs(self, held: UnitGrant, cursor: str) -> str | None:
        """Reads the next page of what the unit needs; the cursor of the page after it."""
        request = InputsRequest(lease=_lease(held), cursor=cursor, outputs=False)
        return self._leases.inputs(self.worker, held.unit_id, request).more_needs

    def heartbeat(self, held: UnitGrant) -> None:
        doorway = self._doorways[held.lease_token]
        running = RunningUnit(unit_id=held.unit_id, lease=_lease(held), doorway=doorway, progress=_PROGRESS)
        self._leases.heartbeat(self.worker, HeartbeatRequest(units=[running]))

    def upload(self, held: UnitGrant) -> None:
        self._put(f"jobs/{held.job_id}/{held.unit_id}/{held.attempt}/{_file(held).name}", _BODY)

    def complete(self, held: UnitGrant) -> None:
        """Reports a result with the one file that was uploaded."""
        report = CompleteRequest(
            lease=_lease(held),
            doorway=self._doorways.pop(held.lease_token),
            outputs=[_file(held)],
            metrics={"loss": 0.5},
            runtime_seconds=1,
        )
        self._leases.complete(self.worker, held.unit_id, report)


def _file(held: UnitGrant) -> OutputFile:
    """What a unit of that role leaves."""
    model = held.role in _LEAVES_A_MODEL
    return OutputFile(
        name="model.tar.gz" if model else "metrics.jsonl",
        kind=ArtifactKind.MODEL if model else ArtifactKind.METRICS,
        size_bytes=len(_BODY),
        sha256=hashlib.sha256(_BODY).hexdigest(),
    )


def _lease(held: UnitGrant) -> Lease:
    return Lease(attempt=held.attempt, lease_token=held.lease_token)


def _capabilities() -> Capabilities:
    return Capabilities(
        cpu_count=8, memory_mb=16_000, disk_free_mb=50_000, gpus=[], gflops=1.0, sandbox="bubblewrap", python="3.11"
    )
