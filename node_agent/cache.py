"""Downloads kept by content hash, so that the next unit of a job finds them here."""

import hashlib
import logging
import os
import re
import shutil
import threading
import uuid
from pathlib import Path

import urllib3

from gpupool.wire.failures import FailureCode
from gpupool.wire.units import Download
from node_agent.agent_log import log_event
from node_agent.blobs import CorruptError, DamagedError, DownloadTask, UrlSource
from node_agent.errors import AbandonedError, RecoverableError, RefusedError, UnitFailedError
from node_agent.pace import PaceBounds
from node_agent.retry import Backoff, retrying

logger = logging.getLogger(__name__)
_SHA256 = re.compile(r"[0-9a-f]{64}")  # it becomes a file name
_ATTEMPTS = 5
_GOOD_PIECE = 8 << 20  # bytes for which a line that keeps breaking gets another round of attempts
_WAIT_FOR_OTHER = 0.5  # seconds between looks at the stop event while another unit fetches the same object


class Cache:
    """``root/objects/<sha256>``, read-only files; the least recently used go when ``limit_bytes`` is passed. Thread-safe.

    An object whose digest nobody has checked has a name of its own: who only knows a digest must not get the bytes for it.
    """

    def __init__(self, root: Path, *, limit_bytes: int, pool: urllib3.PoolManager, pace: PaceBounds | None = None) -> None:
        self._objects = root / "objects"
        self._incoming = root / "incoming"
        self._limit = limit_bytes
        self._pool = pool
        self._pace = pace or PaceBounds()
        self._lock = threading.Lock()
        self._fetching: dict[str, threading.Lock] = {}
        self._held: dict[str, int] = {}

    def recover(self) -> None:
        """At start: create the folders and drop what a killed agent was fetching."""
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._objects.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._incoming.mkdir(mode=0o700)

    def holding(self, urls: UrlSource) -> "Holding":
        """A unit's claim on what it fetches: nothing of it is evicted before the holding ends."""
        return Holding(self, urls)

    def fetch(self, download: Download, *, urls: UrlSource, stop: threading.Event) -> Path:
        """The verified object, held once more. Raises ``UnitFailedError``, ``AbandonedError`` and what ``urls`` raises."""
        if not _SHA256.fullmatch(download.sha256):
            raise UnitFailedError(FailureCode.INPUT_UNAVAILABLE, "an input is named by something that is no SHA-256")
        name = name_of(download)
        path = self._objects / name
        with self._lock:
            self._held[name] = self._held.get(name, 0) + 1
            turn = self._fetching.setdefault(name, threading.Lock())
        try:
            while not turn.acquire(timeout=_WAIT_FOR_OTHER):
                if stop.is_set():
                    raise AbandonedError("waiting for a download")
            try:
                if not _is_whole(path, download):
                    self._bring(download, path, urls=urls, stop=stop)
            finally:
                turn.release()
            os.utime(path)
        except BaseException:
            self.release(name)
            raise
        return path

    def release(self, name: str) -> None:
        with self._lock:
            self._held[name] -= 1
            if not self._held[name]:
                del self._held[name]
                self._fetching.pop(name, None)

    def _bring(self, download: Download, path: Path, *, urls: UrlSource, stop: threading.Event) -> None:
        self._evict(make_room_for=download.size_bytes)
        part = self._incoming / uuid.uuid4().hex
        task = DownloadTask(download, part, urls=urls, pool=self._pool, stop=stop, bounds=self._pace)
        try:
            _carry_through(task, stop=stop)
            part.touch()  # an empty object never opened its file
            part.chmod(0o400)
            part.replace(path)
        except (DamagedError, CorruptError) as error:
            raise _damaged(download, error) from error
        except (RecoverableError, RefusedError) as error:
            raise UnitFailedError(FailureCode.INPUT_UNAVAILABLE, f"an input could not be fetched: {error}") from error
        except OSError as error:
            raise UnitFailedError(
                FailureCode.INPUT_UNAVAILABLE, f"the machine could not store an input: {error.strerror}"
            ) from error
        finally:
            part.unlink(missing_ok=True)

    def _evict(self, *, make_room_for: int) -> None:
        with self._lock:
            objects = sorted(((file.stat(), file) for file in self._objects.iterdir()), key=lambda item: item[0].st_mtime)
            kept = sum(stat.st_size for stat, _ in objects)
            for stat, file in objects:
                if kept + make_room_for <= self._limit:
                    return
                if file.name not in self._held:
                    file.unlink()
                    kept -= stat.st_size
                    log_event(logger, "cache.evicted", sha256=file.name, size_bytes=stat.st_size)


class Holding:
    """What one unit fetched; a context manager."""

    def __init__(self, cache: Cache, urls: UrlSource) -> None:
        self._cache = cache
        self._urls = urls
        self._names: list[str] = []

    def fetch(self, download: Download, *, stop: threading.Event) -> Path:
        path = self._cache.fetch(download, urls=self._urls, stop=stop)
        self._names.append(name_of(download))
        return path

    def __enter__(self) -> "Holding":
        return self

    def __exit__(self, *_error: object) -> None:
        for name in self._names:
            self._cache.release(name)


def _carry_through(task: DownloadTask, *, stop: threading.Event) -> None:
    """Rounds of attempts, for as long as a round brings a good piece further; the task's own pace bounds them all."""
    while True:
        before = task.received
        try:
            return retrying(task.attempt, what="download", giving_up=stop, attempts=_ATTEMPTS, backoff=Backoff(cap=15.0))
        except RecoverableError:
            if task.received < before + _GOOD_PIECE:
                raise


def name_of(download: Download) -> str:
    """What the cache calls the object: its digest, unless that is only its owner's word."""
    if download.declared_as is None:
        return download.sha256
    return hashlib.sha256(f"{download.declared_as}:{download.sha256}".encode()).hexdigest()


def _damaged(download: Download, error: Exception) -> UnitFailedError:
    """The transfer's fault, unless the digest was never checked: then the declaration is the likelier mistake."""
    if download.declared_as is None:
        return UnitFailedError(FailureCode.INPUT_CORRUPT, f"an input arrived damaged: {error}")
    return UnitFailedError(
        FailureCode.DATASET_MISMATCH,
        f"the dataset is not what was declared, its SHA-256 should be {download.sha256}; "
        "compute it again, upload the dataset anew and submit the job again",
    )


def _is_whole(path: Path, download: Download) -> bool:
    """Objects are verified before they are moved here, so the size only tells a file that a crash cut short."""
    try:
        return path.stat().st_size == download.size_bytes
    except FileNotFoundError:
        return False
