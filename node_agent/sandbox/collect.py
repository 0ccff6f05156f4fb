"""Taking over what a dead unit left in its outbox. A stranger may have written all of it: believe nothing unchecked."""

import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from gpupool.wire.failures import FailureCode
from gpupool.wire.vocabulary import ArtifactKind
from node_agent.inside.failure import CODES
from node_agent.inside.metrics import MAX_NAMES, numbers_in
from node_agent.inside.outbox import RESULT
from node_agent.sandbox.sandbox import OutputFile

_MAX_RESULT_BYTES = 65_536
_MAX_MESSAGE = 1000
_KINDS = {
    "model.tar.gz": ArtifactKind.MODEL,
    "checkpoint.tar.gz": ArtifactKind.CHECKPOINT,
    "output.tar.gz": ArtifactKind.METRICS,
    "metrics.jsonl": ArtifactKind.METRICS,
}
_USER_CODES = frozenset(FailureCode(code) for code in CODES)


@dataclass(frozen=True)
class Result:
    """The checked content of ``result.json``: ``code`` is None when the unit says it succeeded.

    ``peak_memory_mb`` is that of its largest process; it fills in where a unit was too short to be sampled.
    """

    code: FailureCode | None
    message: str = ""
    exit_code: int | None = None
    artifacts: tuple[OutputFile, ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)
    peak_memory_mb: int = 0


class OversizedOutputError(Exception):
    """The artifacts are larger together than the unit may yield."""


def collect(outbox: Path, *, max_bytes: int) -> Result | None:
    """The unit's result, or None when there is none that can be believed. Only after all its processes are dead.

    Only the causes that the program inside may name are accepted: a unit must not be able to blame the node. Raises
    OversizedOutputError.
    """
    try:
        raw = _read_result(outbox)
        return _parse(raw, outbox, max_bytes=max_bytes)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _read_result(outbox: Path) -> bytes:
    folder = os.open(outbox, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        # O_NONBLOCK: a pipe of that name must not hold the agent until somebody writes to it.
        descriptor = os.open(RESULT, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - opened by descriptor
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("the result is not a regular file")
        raw = file.read(_MAX_RESULT_BYTES + 1)
    if len(raw) > _MAX_RESULT_BYTES:
        raise ValueError("the result is too large")
    return raw


def _parse(raw: bytes, outbox: Path, *, max_bytes: int) -> Result:
    document = json.loads(raw)
    exit_code = _small(document.get("exit_code"), 255)
    peak = _small(document.get("peak_memory_mb"), 1 << 24) or 0
    if document["status"] != "succeeded":
        code = FailureCode(document["code"])
        if code not in _USER_CODES:
            raise ValueError("a cause that the program inside never names")
        # JSON can say half a character, which nothing that is written or sent can hold.
        message = str(document.get("message", ""))[:_MAX_MESSAGE].encode(errors="replace").decode()
        return Result(code=code, message=message, exit_code=exit_code, peak_memory_mb=peak)
    names = dict.fromkeys(artifact["name"] for artifact in document["artifacts"])
    artifacts = tuple(_artifact(outbox, name) for name in names)
    if sum(artifact.path.stat().st_size for artifact in artifacts) > max_bytes:
        raise OversizedOutputError
    metrics = _metrics(document.get("metrics", {}))
    return Result(code=None, exit_code=exit_code, artifacts=artifacts, metrics=metrics, peak_memory_mb=peak)


def _small(value: object, largest: int) -> int | None:
    return value if type(value) is int and 0 <= value <= largest else None


def _artifact(outbox: Path, name: str) -> OutputFile:
    path = outbox / name
    kind = _KINDS[name]
    state = path.lstat()
    if not stat.S_ISREG(state.st_mode) or state.st_nlink != 1:
        raise ValueError(f"{name} is not a plain file")
    return OutputFile(name=name, kind=kind, path=path)


def _metrics(raw: object) -> dict[str, float]:
    if not isinstance(raw, dict):
        raise TypeError("metrics are an object")
    return dict(list(numbers_in(raw).items())[:MAX_NAMES])
