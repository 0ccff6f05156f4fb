"""The bucket, as far as anybody needs it. Bytes travel between client and bucket; only ranges of them pass through here."""

import base64
import re
import unicodedata
from collections.abc import Sequence
from typing import Protocol

from gpupool.objects.model import ObjectHead, SignedPut, StoredObject, StoredPart

URL_SECONDS = 900


class ObjectStore(Protocol):
    """Every verb raises ``gpupool.errors.Unavailable`` when the storage does not answer."""

    def presign_put(self, key: str, *, size_bytes: int, sha256: str, content_type: str, expires_seconds: int) -> SignedPut:
        """An upload of exactly these bytes to ``key``; the bucket refuses any other length, type or SHA-256 (hex)."""

    def presign_get(self, key: str, *, filename: str | None, expires_seconds: int) -> str:
        """A URL that downloads ``key``; with ``filename`` a browser saves it under that name."""

    def head(self, key: str) -> ObjectHead | None:
        """What is stored under ``key``, None when nothing is."""

    def list(self, prefix: str, *, limit: int) -> tuple[StoredObject, ...]:
        """The objects whose keys begin with ``prefix``, by key; the first ``limit`` of them, a thousand per call."""

    def read_range(self, key: str, *, start: int, length: int) -> bytes:
        """At most ``length`` bytes from offset ``start``; both must lie inside the object."""

    def put(self, key: str, body: bytes, *, content_type: str) -> None:
        """Stores what the platform itself has made."""

    def delete(self, key: str) -> None:
        """Removes the object; one that is gone already is no error."""

    def create_multipart(self, key: str, *, content_type: str) -> str:
        """Begins an upload in parts and answers its id. Nothing lies under ``key`` before the parts are put together."""

    def presign_part(
        self, key: str, *, upload_id: str, number: int, size_bytes: int, sha256: str, expires_seconds: int
    ) -> SignedPut:
        """An upload of exactly these bytes as one part; sent again, a part replaces what arrived under its number."""

    def list_parts(self, key: str, *, upload_id: str, after: int, limit: int) -> tuple[StoredPart, ...] | None:
        """At most ``limit`` (1 to 1000) of the parts with a number above ``after``, in order; None when the upload is over."""

    def complete_multipart(self, key: str, *, upload_id: str, parts: Sequence[StoredPart]) -> None:
        """Puts the parts together under ``key``. An upload that is over already is no error: ``head`` tells how it ended."""

    def abort_multipart(self, key: str, *, upload_id: str) -> None:
        """Throws the parts away; an upload that is over already is no error."""


def put_headers(*, size_bytes: int, sha256: str, content_type: str) -> dict[str, str]:
    """The headers that a signed upload binds."""
    return {"Content-Type": content_type, **part_headers(size_bytes=size_bytes, sha256=sha256)}


def part_headers(*, size_bytes: int, sha256: str) -> dict[str, str]:
    """The headers that a signed part binds; the type was said when the upload began."""
    return {"Content-Length": str(size_bytes), "x-amz-checksum-sha256": to_base64(sha256)}


def to_base64(sha256_hex: str) -> str:
    """The header form of a digest."""
    return base64.b64encode(bytes.fromhex(sha256_hex)).decode()


def to_hex(sha256_base64: str) -> str:
    """The digest inside the header form; empty for an empty or composite (multipart) checksum."""
    try:
        raw = base64.b64decode(sha256_base64, validate=True)
    except ValueError:
        return ""
    return raw.hex() if len(raw) == 32 else ""


def disposition(filename: str) -> str:
    """A Content-Disposition that cannot carry anything but a name: plain ASCII, no quotes, separators or control characters."""
    plain = unicodedata.normalize("NFKD", filename).encode("ascii", "ignore").decode()
    safe = re.sub(r"[^A-Za-z0-9._ -]", "_", plain).strip(" .") or "download"
    return f'attachment; filename="{safe[:150]}"'
