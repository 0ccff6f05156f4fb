"""Where uploads are kept. ``live_jobs`` belongs to the jobs' transitions; nothing here writes it."""

from datetime import datetime
from typing import Any, Protocol

from gpupool.pages import Key, Page
from gpupool.uploads.model import Upload, UploadKind


class UploadStore(Protocol):
    def add(self, upload: Upload) -> None:
        """AlreadyExists when the id is taken."""

    def get(self, customer_id: str, kind: UploadKind, upload_id: str) -> Upload | None:
        """A consistent read."""

    def page(self, customer_id: str, kind: UploadKind, *, limit: int, key: Key | None) -> Page[Upload]:
        """A customer's uploads of one kind, newest first."""

    def mark_ready(self, upload: Upload, *, at: datetime, manifest: dict[str, Any] | None) -> Upload:
        """pending_upload → ready; StaleWrite when it is not pending any more."""

    def mark_deleting(self, upload: Upload) -> None:
        """Any state → deleting, after which no job can take it; StaleWrite while a live job uses it, or when it is gone."""

    def remove(self, upload: Upload) -> None:
        """Removes a row that is deleting; no error when it is gone."""
