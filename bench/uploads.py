"""Uploads that are ready, as jobs are made of; their bytes are nobody's business in a measurement."""

from datetime import datetime
from typing import Any

from gpupool.uploads.model import Upload, UploadKind, UploadStatus

_SHA256 = "ab" * 32


def a_ready_upload(
    kind: UploadKind, upload_id: str, *, customer_id: str, at: datetime, manifest: dict[str, Any] | None = None
) -> Upload:
    """An upload finalized at ``at``; a training package's ``manifest`` as its row keeps it."""
    return Upload(
        id=upload_id,
        customer_id=customer_id,
        kind=kind,
        name=f"{upload_id}.zip",
        content_type="application/zip",
        size_bytes=1_000,
        sha256=_SHA256,
        status=UploadStatus.READY,
        created_at=at,
        finalized_at=at,
        manifest=manifest,
    )
