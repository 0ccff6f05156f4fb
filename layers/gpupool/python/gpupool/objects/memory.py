"""The bucket's in-memory twin."""

import hashlib
from dataclasses import dataclass
from threading import Lock
from urllib.parse import quote

from gpupool.errors import Unavailable
from gpupool.objects.model import ObjectHead, SignedPut, StoredObject
from gpupool.objects.store import disposition, put_headers


@dataclass(frozen=True, slots=True)
class _Stored:
    body: bytes
    content_type: str


class MemoryObjectStore:
    """Objects in a dictionary. Its URLs (``memory://``) name the key and the terms, and serve ``upload`` and ``download``."""

    def __init__(self) -> None:
        self._objects: dict[str, _Stored] = {}
        self._lock = Lock()
        self.bytes_read = 0

    def presign_put(self, key: str, *, size_bytes: int, sha256: str, content_type: str, expires_seconds: int) -> SignedPut:
        headers = put_headers(size_bytes=size_bytes, sha256=sha256, content_type=content_type)
        return SignedPut(f"memory://{key}?expires={expires_seconds}", headers)

    def presign_get(self, key: str, *, filename: str | None, expires_seconds: int) -> str:
        name = "" if filename is None else f"&disposition={quote(disposition(filename))}"
        return f"memory://{key}?expires={expires_seconds}{name}"

    def head(self, key: str) -> ObjectHead | None:
        stored = self._objects.get(key)
        if stored is None:
            return None
        return ObjectHead(len(stored.body), hashlib.sha256(stored.body).hexdigest(), stored.content_type)

    def list(self, prefix: str, *, limit: int) -> tuple[StoredObject, ...]:
        with self._lock:
            found = sorted((key, len(stored.body)) for key, stored in self._objects.items() if key.startswith(prefix))
        return tuple(StoredObject(key, size) for key, size in found[:limit])

    def read_range(self, key: str, *, start: int, length: int) -> bytes:
        stored = self._objects.get(key)
        if stored is None or length < 1 or start >= len(stored.body):
            raise Unavailable("The storage did not serve the object; try again in a moment.", code="STORAGE_UNAVAILABLE")
        part = stored.body[start : start + length]
        self.bytes_read += len(part)
        return part

    def delete(self, key: str) -> None:
        with self._lock:
            self._objects.pop(key, None)

    def put(self, key: str, body: bytes, *, content_type: str = "application/octet-stream") -> None:
        """What a client's upload leaves behind."""
        with self._lock:
            self._objects[key] = _Stored(body, content_type)

    def upload(self, signed: SignedPut, body: bytes) -> bool:
        """A client's PUT to a signed URL; False, and nothing stored, when the bytes are not the signed ones."""
        key = signed.url.removeprefix("memory://").partition("?")[0]
        content_type = signed.headers["Content-Type"]
        sha256 = hashlib.sha256(body).hexdigest()
        if put_headers(size_bytes=len(body), sha256=sha256, content_type=content_type) != signed.headers:
            return False
        self.put(key, body, content_type=content_type)
        return True

    def download(self, url: str) -> bytes:
        """A client's GET of a signed URL."""
        return self._objects[url.removeprefix("memory://").partition("?")[0]].body
