"""The end of a unit: its outputs checked and uploaded, its result told. Every step may be repeated."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import urllib3

from gpupool.wire import units as wire
from gpupool.wire.failures import FailureCode
from gpupool.wire.vocabulary import ArtifactKind
from node_agent.agent_log import log_event
from node_agent.control_plane import ControlPlane
from node_agent.errors import AgentError, OutputMissingError, RecoverableError, RefusedError, UnitFailedError
from node_agent.in_hand import Stage, UnitInHand
from node_agent.retry import Backoff, retrying
from node_agent.sandbox import OutputFile, UnitOutcome
from node_agent.uploads import Output, Uploads

logger = logging.getLogger(__name__)
LOG_FILE = "log.txt"
_PIECE = 1 << 20
_UPLOAD_ROUNDS = 3
_LOG_ATTEMPTS = 2
# Longer than a lease and its grace while out of reach; a call that only ever fails must not hold the lane for good. A result
# may be the work of hours, so the store gets as much patience as the control plane.
_REPORT_ATTEMPTS = 100
_MOST_METRICS = 50
_TAIL_CHARACTERS = 8000
_MESSAGE_CHARACTERS = 1000


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

        Raises ``UnitFailedError`` (UPLOAD_FAILED), ``LeaseLostError``, or ``AbandonedError``. While the store or the
        control plane is out of reach it goes on trying until the unit is abandoned, or for many minutes.
        """
        metrics = {**unit.metrics(), **outcome.metrics}
        request = wire.CompleteRequest(
            lease=unit.lease,
            doorway=unit.doorway,
            outputs=[output.declared for output in outputs],
            metrics=dict(list(metrics.items())[:_MOST_METRICS]),
            runtime_seconds=outcome.runtime_seconds,
            peak_memory_mb=outcome.peak_memory_mb,
        )
        uploads = Uploads(unit, self._control_plane, pool=self._pool, attempts=_REPORT_ATTEMPTS)
        for _ in range(_UPLOAD_ROUNDS):
            uploads.send(outputs)
            try:
                answer = retrying(
                    lambda: self._control_plane.complete(unit.unit_id, request),
                    what="complete",
                    giving_up=unit.abandoned,
                    attempts=_REPORT_ATTEMPTS,
                    backoff=Backoff(cap=10.0),
                )
            except OutputMissingError as error:
                uploads.forget()
                log_event(logger, "upload.again", level=logging.WARNING, unit=unit.unit_id, error=str(error))
                continue
            log_event(logger, "unit.completed", unit=unit.unit_id, attempt=unit.lease.attempt, accepted=answer.accepted)
            return
        raise UnitFailedError(FailureCode.UPLOAD_FAILED, "the outputs could not be stored")

    def fail(self, unit: UnitInHand, error: UnitFailedError, *, runtime_seconds: float) -> None:
        """Report the failure with the end of the log; the whole log goes along when it can be uploaded."""
        # It may repeat a file's name, which need not be text.
        message = error.message.encode(errors="replace").decode()
        log_event(logger, "unit.failed", unit=unit.unit_id, attempt=unit.lease.attempt, code=error.code.value, why=message)
        request = wire.FailRequest(
            lease=unit.lease,
            doorway=unit.doorway,
            code=error.code,
            message=message[:_MESSAGE_CHARACTERS],
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

    def give_back(self, *, unit_id: str, lease: wire.Lease, doorway: wire.Doorway | None, why: str) -> None:
        """Return the lease at once so that another node may have the unit; one attempt, because the lease lapses anyway."""
        request = wire.FailRequest(lease=lease, doorway=doorway, code=FailureCode.NODE_DRAINED, message=why)
        try:
            self._control_plane.fail(unit_id, request)
            log_event(logger, "unit.given_back", unit=unit_id, attempt=lease.attempt)
        except AgentError as error:
            log_event(logger, "unit.not_given_back", level=logging.WARNING, unit=unit_id, error=str(error))

    def _send_log(self, unit: UnitInHand) -> list[wire.OutputFile]:
        """A log that cannot be uploaded is not worth failing the report of a failure."""
        try:
            outputs = _log_output(unit)
            Uploads(unit, self._control_plane, pool=self._pool, attempts=_LOG_ATTEMPTS).send(outputs)
        except (RecoverableError, RefusedError, UnitFailedError, OSError) as error:
            log_event(logger, "log.unsent", level=logging.WARNING, unit=unit.unit_id, error=str(error))
            return []
        return [output.declared for output in outputs]


def _tail(unit: UnitInHand) -> str:
    return unit.log.tail(most_characters=_TAIL_CHARACTERS) if unit.log is not None else ""
