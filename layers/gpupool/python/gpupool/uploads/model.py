"""What a customer uploads."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from gpupool.objects.model import SignedPut


class UploadKind(StrEnum):
    DATASET = "dataset"
    TRAINING_PACKAGE = "training_package"


class UploadStatus(StrEnum):
    PENDING = "pending_upload"
    READY = "ready"
    # Its bytes are going; no job can take it any more.
    DELETING = "deleting"


# The bucket throws the parts of an upload away that was not finalized by then.
UNFINISHED_LIFETIME = timedelta(days=7)
MAX_BYTES = {UploadKind.DATASET: 5_000_000_000, UploadKind.TRAINING_PACKAGE: 100_000_000}


@dataclass(frozen=True, slots=True)
class Multipart:
    """An upload in parts, all but the last of ``part_size_bytes``. ``id`` is the bucket's own; outside it is seen in URLs."""

    id: str
    part_size_bytes: int


@dataclass(frozen=True, slots=True)
class Upload:
    """A declared object. ``sha256`` is hex: what the bucket enforced on arrival, or its owner's word (see ``proven``)."""

    id: str
    customer_id: str
    kind: UploadKind
    name: str
    content_type: str
    size_bytes: int
    sha256: str
    status: UploadStatus
    created_at: datetime
    finalized_at: datetime | None = None
    manifest: dict[str, Any] | None = None
    # Jobs that still need the bytes; it must be empty before the object may be deleted.
    live_jobs: frozenset[str] = frozenset()
    multipart: Multipart | None = None

    @property
    def key(self) -> str:
        """Where the bytes lie in the bucket."""
        folder = "datasets" if self.kind is UploadKind.DATASET else "packages"
        return f"customers/{self.customer_id}/{folder}/{self.id}"

    @property
    def owner_kind(self) -> str:
        return owner_kind(self.customer_id, self.kind)

    @property
    def proven(self) -> bool:
        """Whether the bucket has checked ``sha256``. Of what arrives in parts it checks each part, and never the whole."""
        return self.multipart is None

    @property
    def parts_total(self) -> int:
        """How many parts the bytes arrive in; 1 for an upload in one piece."""
        return 1 if self.multipart is None else -(-self.size_bytes // self.multipart.part_size_bytes)

    def part_bytes(self, number: int) -> int:
        """The size of part ``number``, which is one of 1 to ``parts_total``."""
        size = self.size_bytes if self.multipart is None else self.multipart.part_size_bytes
        return size if number < self.parts_total else self.size_bytes - size * (self.parts_total - 1)


@dataclass(frozen=True, slots=True)
class Declaration:
    """What the customer is about to upload; ``sha256`` is lower-case hex."""

    name: str
    size_bytes: int
    sha256: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Declared:
    """A declared upload and how to send its bytes until ``expires_at``: by ``signed``, or in parts when that is None.

    ``replayed``: an earlier call with the same idempotency key declared it.
    """

    upload: Upload
    signed: SignedPut | None
    expires_at: datetime
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class PartWish:
    """A part that is about to be sent; ``sha256`` is lower-case hex, of the part's bytes."""

    number: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SignedPart:
    """How to send one part until ``expires_at``."""

    number: int
    signed: SignedPut
    expires_at: datetime


def owner_kind(customer_id: str, kind: UploadKind) -> str:
    """Partition of one customer's uploads of one kind."""
    return f"{customer_id}#{kind}"
