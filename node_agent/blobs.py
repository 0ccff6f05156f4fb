"""Moving bytes by presigned URLs: inputs in, outputs and log chunks out."""

import hashlib
import threading
from pathlib import Path
from typing import IO

import urllib3

from gpupool.wire.units import Download, Upload
from node_agent.errors import AbandonedError, RecoverableError, RefusedError
from node_agent.web import open_url

_TIMEOUT = urllib3.Timeout(connect=10.0, read=60.0)
_PIECE = 1 << 20


class CorruptError(RecoverableError):
    """What arrived is not what was declared; the transfer may have gone wrong, so it is worth one other try."""


class DamagedError(RefusedError):
    """What arrived is wrong again: the object itself is."""


class DownloadTask:
    """One object on its way to ``target``, which must not exist."""

    def __init__(self, download: Download, target: Path, *, pool: urllib3.PoolManager, stop: threading.Event) -> None:
        self._download = download
        self._target = target
        self._pool = pool
        self._stop = stop
        self._hash = hashlib.sha256()
        self._received = 0
        self._corruptions = 0

    def attempt(self) -> None:
        """Finish the download and check it; repeated, it goes on where the last attempt broke off.

        Raises ``RecoverableError``, ``RefusedError`` (``DamagedError`` when the bytes are wrong) or ``AbandonedError``.
        """
        if not self._received or self._received < self._download.size_bytes:
            self._transfer()
        if self._received != self._download.size_bytes or self._hash.hexdigest() != self._download.sha256:
            self._note_corruption("the bytes differ from what was declared")

    def _transfer(self) -> None:
        headers = {"Accept-Encoding": "identity"}
        if self._received:
            headers["Range"] = f"bytes={self._received}-"
        with open_url(self._pool, "GET", self._download.url, headers=headers, timeout=_TIMEOUT) as response:
            _raise_for(response.status, what="download")
            if response.status != 206:
                self._start_over()
            with self._target.open("ab") as target:
                self._receive(response, target)

    def _receive(self, response: urllib3.BaseHTTPResponse, target: IO[bytes]) -> None:
        for piece in response.stream(_PIECE, decode_content=False):
            if self._stop.is_set():
                raise AbandonedError("download")
            if self._received + len(piece) > self._download.size_bytes:
                self._note_corruption("more bytes than declared")
            target.write(piece)
            self._hash.update(piece)
            self._received += len(piece)

    def _note_corruption(self, what: str) -> None:
        self._start_over()
        if self._corruptions:
            raise DamagedError(what)
        self._corruptions += 1
        raise CorruptError(what)

    def _start_over(self) -> None:
        self._target.unlink(missing_ok=True)
        self._hash = hashlib.sha256()
        self._received = 0


def upload(pool: urllib3.PoolManager, to: Upload, *, source: IO[bytes] | bytes, size_bytes: int) -> None:
    """Send exactly ``size_bytes``.

    Raises ``RecoverableError``, or ``RefusedError`` when the URL expired or the bytes are not the signed ones.
    """
    headers = dict(to.headers)
    if not any(name.lower() == "content-length" for name in headers):
        headers["Content-Length"] = str(size_bytes)  # without it urllib3 sends chunks, which S3 refuses
    with open_url(pool, to.method, to.url, headers=headers, timeout=_TIMEOUT, body=source) as response:
        response.read(_PIECE)
        _raise_for(response.status, what="upload")


def _raise_for(status: int, *, what: str) -> None:
    if 200 <= status < 300:
        return
    if status in (408, 429) or status >= 500:
        raise RecoverableError(f"{what}: HTTP {status}")
    raise RefusedError(f"{what}: HTTP {status}")
