"""Moving bytes by presigned URLs: inputs in, outputs and log chunks out."""

import hashlib
import threading
from pathlib import Path
from typing import IO, Protocol

import urllib3

from gpupool.wire.units import Download, Upload
from node_agent.errors import AbandonedError, RecoverableError, RefusedError
from node_agent.pace import Pace, PaceBounds
from node_agent.web import open_url

_TIMEOUT = urllib3.Timeout(connect=10.0, read=60.0)
_PIECE = 1 << 18
# What object stores answer to a URL that expired, or whose signer's own keys did (400).
_TURNED_DOWN = (400, 401, 403)


class CorruptError(RecoverableError):
    """What arrived is not what was declared; the transfer may have gone wrong, so it is worth one other try."""


class DamagedError(RefusedError):
    """What arrived is wrong again: the object itself is."""


class UrlRefusedError(RefusedError):
    """The presigned request was not accepted; a fresh one may be."""


class UrlSource(Protocol):
    def url_for(self, download: Download, *, refused: bool = False) -> str:
        """A URL for these bytes; ``refused``: the last one was turned down."""
        ...


class DownloadTask:
    """One object on its way to ``target``, which must not exist."""

    def __init__(
        self,
        download: Download,
        target: Path,
        *,
        urls: UrlSource,
        pool: urllib3.PoolManager,
        stop: threading.Event,
        bounds: PaceBounds,
    ) -> None:
        self._download = download
        self._target = target
        self._urls = urls
        self._pool = pool
        self._stop = stop
        self._timeout = urllib3.Timeout(connect=10.0, read=bounds.silence_seconds)
        self._pace = Pace(bounds, size_bytes=download.size_bytes)
        self._hash = hashlib.sha256()
        self._received = 0
        self._corruptions = 0

    @property
    def received(self) -> int:
        """Bytes that need not be sent again."""
        return self._received

    def attempt(self) -> None:
        """Finish the download and check it; repeated, it goes on where the last attempt broke off.

        Raises ``RecoverableError``, ``RefusedError`` (``DamagedError`` when the bytes are wrong), ``AbandonedError``, and
        what the source of URLs raises.
        """
        if not self._received or self._received < self._download.size_bytes:
            self._transfer_with_valid_url()
        if self._received != self._download.size_bytes or self._hash.hexdigest() != self._download.sha256:
            self._note_corruption("the bytes differ from what was declared")

    def _transfer_with_valid_url(self) -> None:
        try:
            self._transfer(self._urls.url_for(self._download))
        except UrlRefusedError:
            self._transfer(self._urls.url_for(self._download, refused=True))

    def _transfer(self, url: str) -> None:
        self._pace.connect()
        headers = {"Accept-Encoding": "identity"}
        if self._received:
            headers["Range"] = f"bytes={self._received}-"
        with open_url(self._pool, "GET", url, headers=headers, timeout=self._timeout) as response:
            _raise_for(response.status, what="download")
            if response.status != 206:
                self._start_over()
            with self._target.open("ab") as target:
                self._receive(response, target)

    def _receive(self, response: urllib3.BaseHTTPResponse, target: IO[bytes]) -> None:
        # read1 returns what is there; a full piece may take a trickling server for ever, and nobody would look up meanwhile.
        while piece := response.read1(_PIECE, decode_content=False):
            if self._stop.is_set():
                raise AbandonedError("download")
            if self._received + len(piece) > self._download.size_bytes:
                self._note_corruption("more bytes than declared")
            target.write(piece)
            self._hash.update(piece)
            self._received += len(piece)
            self._pace.receive(len(piece))

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

    Raises ``RecoverableError``, or ``RefusedError``; ``UrlRefusedError`` when the URL expired or the bytes are not as signed.
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
    if status in _TURNED_DOWN:
        raise UrlRefusedError(f"{what}: HTTP {status}")
    raise RefusedError(f"{what}: HTTP {status}")
