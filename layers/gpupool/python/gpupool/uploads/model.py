"""What a customer uploads."""

from dataclasses import dataclass
from datetime import datetime
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


MAX_BYTES = {UploadKind.DATASET: 5_000_000_000, UploadKind.TRAINING_PACKAGE: 100_000_000}


@dataclass(frozen=True, slots=True)
class Upload:
    """A declared object; ``sha256`` is hex and is what S3 enforced when the bytes arrived."""

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

    @property
    def key(self) -> str:
        """Where the bytes lie in the bucket."""
        folder = "datasets" if self.kind is UploadKind.DATASET else "packages"
        return f"customers/{self.customer_id}/{folder}/{self.id}"

    @property
    def owner_kind(self) -> str:
        return owner_kind(self.customer_id, self.kind)


@dataclass(frozen=True, slots=True)
class Declaration:
    """What the customer is about to upload; ``sha256`` is lower-case hex."""

    name: str
    size_bytes: int
    sha256: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Declared:
    """A declared upload and how to send its bytes until ``expires_at``."""

    upload: Upload
    signed: SignedPut
    expires_at: datetime


def owner_kind(customer_id: str, kind: UploadKind) -> str:
    """Partition of one customer's uploads of one kind."""
    return f"{customer_id}#{kind}"
