"""The end of a unit: its outputs checked and uploaded, its result told. Every step may be repeated."""

import hashlib
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import urllib3

from gpupool.wire import units as wire
from gpupool.wire.failures import FailureCode
from gpupool.wire.vocabulary import ArtifactKind
from node_agent.agent_log import log_event
from node_agent.blobs import upload
from node_agent.control_plane import ControlPlane
from node_agent.errors import AgentError, OutputMissingError, RecoverableError, RefusedError, UnitFailedError
from node_agent.in_hand import Stage, UnitInHand
from node_agent.retry import Backoff, retrying
from node_agent.sandbox import OutputFile, UnitOutcome

logger = logging.getLogger(__name__)
LOG_FILE = "log.txt"
_PIECE = 1 << 20
_UPLOAD_ROUNDS = 3
_UPLOAD_ATTEMPTS = 5
# Longer than a lease and its grace while out of reach; a call that only ever fails must not hold the lane for good.
_REPORT_ATTEMPTS = 100
_MOST_METRICS = 50
_TAIL_CHARACTERS = 8000
_MESSAGE_CHARACTERS = 1000


@dataclass(frozen=True)
class Output:
    """A file to upload and what is declared about it."""

    declared: wire.OutputFile
    path: Path


def collect(unit: UnitInHand, artifacts: Sequence[OutputFile]) -> list[Output]:
    """Measure the artifacts, and add the log. Raises OUTPUT_TOO_LARGE before a byte is sent."""
    unit.enter(Stage.UPLOADING)
    most = unit.grant.limits.output_bytes
    total = sum(artifact.path.stat().st_size for artifact in artifacts if artifact.name != LOG_FILE)
    if total > most:
        raise UnitFailedError(FailureCode.OUTPUT_TOO_LARGE, f"the unit yielded {total} bytes; its limit is {most}")
    outputs = [_measured(unit, artifact.name, artifact.kind, artifact.path) for artifact in artifacts]
    if all(output.declared.name != LOG_FILE for output in outputs):
        outputs.extend(_log_output(unit))
    return outputs


def _measured(unit: UnitInHand, name: str, kind: ArtifactKind, path: Path) -> Output:
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as source:
        while piece := source.read(_PIECE):
            unit.raise_if_abandoned()
            digest.update(piece)
            size += len(piece)
    return Output(declared=wire.OutputFile(name=name, kind=kind, size_bytes=size, sha256=digest.hexdigest()), path=path)


def _log_output(unit: UnitInHand) -> list[Output]:
    if unit.log is None or not unit.log.size:
        return []
    return [_measured(unit, LOG_FILE, ArtifactKind.LOGS, unit.log.path)]


class Reporter:
    """Tells the control plane how units ended."""

    def __init__(self, control_plane: ControlPlane, *, pool: urllib3.PoolManager) -> None:
        self._control_plane = control_plane
        self._pool = pool

    def complete(self, unit: UnitInHand, outcome: UnitOutcome, outputs: Sequence[Output]) -> None:
        """Upload, then report; an upload that turns out missing is sent again.

        Raises ``UnitFailedError`` (UPLOAD_FAILED), ``LeaseLostError``, or ``AbandonedError``. Out of reach it goes on trying
        until the unit is abandoned, or for many minutes.
        """
        metrics = {**unit.metrics(), **outcome.metrics}
        request = wire.CompleteRequest(
            lease=unit.lease,
            outputs=[output.declared for output in outputs],
            metrics=dict(list(metrics.items())[:_MOST_METRICS]),
            runtime_seconds=outcome.runtime_seconds,
            peak_memory_mb=outcome.peak_memory_mb,
        )
        for _ in range(_UPLOAD_ROUNDS):
            try:
                self._upload(unit, outputs, attempts=_UPLOAD_ATTEMPTS)
                answer = retrying(
                    lambda: self._control_plane.complete(unit.unit_id, request),
                    what="complete",
                    giving_up=unit.abandoned,
                    attempts=_REPORT_ATTEMPTS,
                    backoff=Backoff(cap=10.0),
                )
            except (OutputMissingError, UploadRefusedError) as error:
                log_event(logger, "upload.again", level=logging.WARNING, unit=unit.unit_id, error=str(error))
                continue
            log_event(logger, "unit.completed", unit=unit.unit_id, attempt=unit.lease.attempt, accepted=answer.accepted)
            return
        raise UnitFailedError(FailureCode.UPLOAD_FAILED, "the outputs could not be stored")

    def fail(self, unit: UnitInHand, error: UnitFailedError, *, runtime_seconds: float) -> None:
        """Report the failure with the end of the log; the whole log goes along when it can be uploaded."""
        log_event(
            logger, "unit.failed", unit=unit.unit_id, attempt=unit.lease.attempt, code=error.code.value, why=error.message
        )
        request = wire.FailRequest(
            lease=unit.lease,
            code=error.code,
            message=error.message[:_MESSAGE_CHARACTERS],
            log_tail=_tail(unit),
            exit_code=error.exit_code,
            outputs=self._send_log(unit),
            runtime_seconds=runtime_seconds,
        )
        retrying(
            lambda: self._control_plane.fail(unit.unit_id, request),
            what="fail",
            giving_up=unit.abandoned,
            attempts=_REPORT_ATTEMPTS,
            backoff=Backoff(cap=10.0),
        )

    def give_back(self, *, unit_id: str, lease: wire.Lease, why: str, log_tail: str = "") -> None:
        """Return the lease at once so that another node may have the unit; one attempt, because the lease lapses anyway."""
        request = wire.FailRequest(lease=lease, code=FailureCode.NODE_DRAINED, message=why, log_tail=log_tail)
        try:
            self._control_plane.fail(unit_id, request)
            log_event(logger, "unit.given_back", unit=unit_id, attempt=lease.attempt)
        except AgentError as error:
            log_event(logger, "unit.not_given_back", level=logging.WARNING, unit=unit_id, error=str(error))

    def _send_log(self, unit: UnitInHand) -> list[wire.OutputFile]:
        """A log that cannot be uploaded is not worth failing the report of a failure."""
        try:
            outputs = _log_output(unit)
            self._upload(unit, outputs, attempts=2)
        except (RecoverableError, RefusedError, UnitFailedError, OSError) as error:
            log_event(logger, "log.unsent", level=logging.WARNING, unit=unit.unit_id, error=str(error))
            return []
        return [output.declared for output in outputs]

    def _upload(self, unit: UnitInHand, outputs: Sequence[Output], *, attempts: int) -> None:
        if not outputs:
            return
        request = wire.OutputsRequest(lease=unit.lease, files=[output.declared for output in outputs])
        granted = retrying(
            lambda: self._control_plane.outputs(unit.unit_id, request),
            what="outputs",
            giving_up=unit.abandoned,
            attempts=_REPORT_ATTEMPTS,
            backoff=Backoff(cap=10.0),
        )
        for output in outputs:
            unit.raise_if_abandoned()
            self._send(output, granted.uploads.get(output.declared.name), attempts=attempts, giving_up=unit.abandoned)

    def _send(self, output: Output, to: wire.Upload | None, *, attempts: int, giving_up: threading.Event) -> None:
        if to is None:
            raise UploadRefusedError(f"no upload was granted for {output.declared.name}")

        def attempt() -> None:
            with output.path.open("rb") as source:
                upload(self._pool, to, source=source, size_bytes=output.declared.size_bytes)

        try:
            retrying(attempt, what="upload", giving_up=giving_up, attempts=attempts, backoff=Backoff(cap=15.0))
        except RefusedError as error:
            raise UploadRefusedError(str(error)) from error
        except RecoverableError as error:
            raise UnitFailedError(FailureCode.UPLOAD_FAILED, f"{output.declared.name}: {error}") from error


class UploadRefusedError(RefusedError):
    """The presigned request was not accepted; a fresh one may be."""


def _tail(unit: UnitInHand) -> str:
    return unit.log.tail(most_characters=_TAIL_CHARACTERS) if unit.log is not None else ""
