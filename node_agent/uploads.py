"""A unit's outputs on their way to the store, each with a URL asked for when its turn comes: URLs live minutes."""

import io
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import urllib3

from gpupool.wire import units as wire
from gpupool.wire.failures import FailureCode
from node_agent.blobs import upload
from node_agent.errors import AbandonedError, RecoverableError, RefusedError, UnitFailedError
from node_agent.in_hand import UnitInHand
from node_agent.input_urls import FRESH_SECONDS
from node_agent.retry import Backoff, asking_for_urls, retrying

SMALL_BYTES = 1 << 20  # files of so many bytes together share one request; no line is so slow that their URLs would expire
_MOST_GRANTS = 3  # URLs for one file that may be refused before the store's word is taken


@dataclass(frozen=True)
class Output:
    """A file to upload and what is declared about it."""

    declared: wire.OutputFile
    path: Path


class OutputsDoor(Protocol):
    def outputs(self, unit_id: str, request: wire.OutputsRequest) -> wire.OutputsResponse: ...


def batches(outputs: Sequence[Output]) -> list[list[Output]]:
    """The files in the order of sending: small ones together, up to SMALL_BYTES, then each large one alone."""
    found: list[list[Output]] = []
    size = SMALL_BYTES
    for output in sorted(outputs, key=lambda output: output.declared.size_bytes):
        size += output.declared.size_bytes
        if size > SMALL_BYTES or not found:
            found.append([])
            size = output.declared.size_bytes
        found[-1].append(output)
    return found


class Uploads:
    """One unit's uploads; ``send`` may be repeated and sends only what is not stored yet."""

    def __init__(
        self,
        unit: UnitInHand,
        door: OutputsDoor,
        *,
        pool: urllib3.PoolManager,
        attempts: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._unit = unit
        self._door = door
        self._pool = pool
        self._attempts = attempts
        self._clock = clock
        self._granted: dict[str, tuple[float, wire.Upload]] = {}
        self._stored: set[str] = set()

    def send(self, outputs: Sequence[Output]) -> None:
        """Raises ``UnitFailedError`` (UPLOAD_FAILED), ``LeaseLostError``, ``UnitGoneError`` or ``AbandonedError``."""
        waiting = [output for output in outputs if output.declared.name not in self._stored]
        for batch in batches(waiting):
            self._unit.raise_if_abandoned()
            self._send_batch(batch)

    def forget(self) -> None:
        """What was sent is not in the store after all."""
        self._stored.clear()

    def _send_batch(self, batch: Sequence[Output]) -> None:
        for output in batch:
            self._granted.pop(output.declared.name, None)
        for output in batch:
            self._send_one(output, batch)
            self._stored.add(output.declared.name)

    def _send_one(self, output: Output, batch: Sequence[Output]) -> None:
        name = output.declared.name
        asking = batch
        for grants in range(1, _MOST_GRANTS + 1):
            try:
                self._try_grant(output, asking)
            except RefusedError as error:
                if grants == _MOST_GRANTS:
                    raise UnitFailedError(FailureCode.UPLOAD_FAILED, f"{name}: {error}") from error
                self._granted.pop(name, None)
                asking = [output]
            except RecoverableError as error:
                raise UnitFailedError(FailureCode.UPLOAD_FAILED, f"{name}: {error}") from error
            else:
                return

    def _try_grant(self, output: Output, asking: Sequence[Output]) -> None:
        def attempt() -> None:
            to = self._fresh_grant(output, asking)
            with _UnlessAbandoned(output.path, stop=self._unit.abandoned) as source:
                upload(self._pool, to, source=source, size_bytes=output.declared.size_bytes)

        retrying(attempt, what="upload", giving_up=self._unit.abandoned, attempts=self._attempts, backoff=Backoff(cap=10.0))

    def _fresh_grant(self, output: Output, asking: Sequence[Output]) -> wire.Upload:
        granted = self._granted.get(output.declared.name)
        if granted is None:
            granted = self._ask(output, asking)
        elif self._clock() - granted[0] > FRESH_SECONDS:
            granted = self._ask(output, [output])
        return granted[1]

    def _ask(self, output: Output, asking: Sequence[Output]) -> tuple[float, wire.Upload]:
        request = wire.OutputsRequest(lease=self._unit.lease, files=[each.declared for each in asking])
        asked_at = self._clock()
        try:
            answer = asking_for_urls(
                lambda: self._door.outputs(self._unit.unit_id, request), what="outputs", giving_up=self._unit.abandoned
            )
        except RecoverableError as error:
            raise UnitFailedError(FailureCode.UPLOAD_FAILED, f"no upload was granted: {error}") from error
        self._granted.update({name: (asked_at, to) for name, to in answer.uploads.items()})
        if output.declared.name not in answer.uploads:
            raise RefusedError("no upload was granted")
        return self._granted[output.declared.name]


class _UnlessAbandoned(io.FileIO):
    """A file that stops being readable once ``stop`` is set, so that no upload outlives its lease for long."""

    def __init__(self, path: Path, *, stop: threading.Event) -> None:
        super().__init__(path)
        self._stop = stop

    def read(self, size: int | None = -1, /) -> bytes:
        if self._stop.is_set():
            raise AbandonedError("upload")
        return super().read(size)
