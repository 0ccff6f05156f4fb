"""What the bucket tells about an object, and what a signed upload consists of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SignedPut:
    """A presigned upload. The client sends exactly ``headers``: length, type and SHA-256 are part of the signature."""

    url: str
    headers: dict[str, str]
    method: str = "PUT"


@dataclass(frozen=True, slots=True)
class ObjectHead:
    """A stored object; ``sha256`` (hex) is what the bucket verified on arrival, empty when it came in parts or without one."""

    size_bytes: int
    sha256: str
    content_type: str


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as a listing names it."""

    key: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StoredPart:
    """One part that has arrived, numbered from 1; ``etag`` names this very arrival when the parts are put together."""

    number: int
    size_bytes: int
    sha256: str
    etag: str
