"""The bucket's in-memory twin."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from urllib.parse import parse_qs, quote, urlsplit

from gpupool.errors import Unavailable
from gpupool.objects.model import ObjectHead, SignedPut, StoredObject, StoredPart
from gpupool.objects.store import disposition, part_headers, put_headers


@dataclass(frozen=True, slots=True)
class _Stored:
    body: bytes
    content_type: str
    in_parts: bool = False


@dataclass(frozen=True, slots=True)
class _Multipart:
    key: str
    content_type: str
    parts: dict[int, bytes] = field(default_factory=dict)


class MemoryObjectStore:
    """Objects in a dictionary. Its URLs (``memory://``) name the key and the terms, and serve ``upload`` and ``download``."""

    def __init__(self) -> None:
        self._objects: dict[str, _Stored] = {}
        self._multiparts: dict[str, _Multipart] = {}
        self._begun = 0
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
        digest = "" if stored.in_parts else hashlib.sha256(stored.body).hexdigest()
        return ObjectHead(len(stored.body), digest, stored.content_type)

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

    def create_multipart(self, key: str, *, content_type: str) -> str:
        with self._lock:
            self._begun += 1
            upload_id = f"multipart-{self._begun}"
            self._multiparts[upload_id] = _Multipart(key, content_type)
        return upload_id

    def presign_part(
        self, key: str, *, upload_id: str, number: int, size_bytes: int, sha256: str, expires_seconds: int
    ) -> SignedPut:
        url = f"memory://{key}?partNumber={number}&uploadId={upload_id}&expires={expires_seconds}"
        return SignedPut(url, part_headers(size_bytes=size_bytes, sha256=sha256))

    def list_parts(self, key: str, *, upload_id: str, after: int, limit: int) -> tuple[StoredPart, ...] | None:
        with self._lock:
            multipart = self._multiparts.get(upload_id)
            if multipart is None or multipart.key != key:
                return None
            parts = [_part(number, body) for number, body in sorted(multipart.parts.items()) if number > after]
        return tuple(parts[:limit])

    def complete_multipart(self, key: str, *, upload_id: str, parts: Sequence[StoredPart]) -> None:
        with self._lock:
            multipart = self._multiparts.get(upload_id)
            if multipart is None or multipart.key != key:
                return
            if not parts or any(_part(part.number, multipart.parts.get(part.number, b"")) != part for part in parts):
                raise Unavailable("The storage did not serve the upload; try again in a moment.", code="STORAGE_UNAVAILABLE")
            body = b"".join(multipart.parts[part.number] for part in parts)
            self._objects[key] = _Stored(body, multipart.content_type, in_parts=True)
            del self._multiparts[upload_id]

    def abort_multipart(self, key: str, *, upload_id: str) -> None:
        with self._lock:
            if upload_id in self._multiparts and self._multiparts[upload_id].key == key:
                del self._multiparts[upload_id]

    def put(self, key: str, body: bytes, *, content_type: str = "application/octet-stream") -> None:
        """What a client's upload leaves behind."""
        with self._lock:
            self._objects[key] = _Stored(body, content_type)

    def upload(self, signed: SignedPut, body: bytes) -> bool:
        """A client's PUT to a signed URL; False, and nothing stored, when the bytes are not the signed ones."""
        key = signed.url.removeprefix("memory://").partition("?")[0]
        sha256 = hashlib.sha256(body).hexdigest()
        terms = parse_qs(urlsplit(signed.url).query)
        if "partNumber" in terms:
            arrived = part_headers(size_bytes=len(body), sha256=sha256) == signed.headers
            return arrived and self._receive_part(terms["uploadId"][0], int(terms["partNumber"][0]), body)
        content_type = signed.headers["Content-Type"]
        if put_headers(size_bytes=len(body), sha256=sha256, content_type=content_type) != signed.headers:
            return False
        self.put(key, body, content_type=content_type)
        return True

    def download(self, url: str) -> bytes:
        """A client's GET of a signed URL."""
        return self._objects[url.removeprefix("memory://").partition("?")[0]].body

    def _receive_part(self, upload_id: str, number: int, body: bytes) -> bool:
        with self._lock:
            multipart = self._multiparts.get(upload_id)
            if multipart is not None:
                multipart.parts[number] = body
        return multipart is not None


def _part(number: int, body: bytes) -> StoredPart:
    digest = hashlib.sha256(body).hexdigest()
    return StoredPart(number, len(body), digest, f'"{digest[:32]}"')
