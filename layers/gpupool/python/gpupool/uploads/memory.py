"""Uploads in memory."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from gpupool.errors import AlreadyExists, StaleWrite
from gpupool.pages import Key, Page
from gpupool.uploads.model import Upload, UploadKind, UploadStatus, owner_kind
from gpupool.world import World


class MemoryUploadStore:
    def __init__(self, world: World) -> None:
        self._world = world

    def add(self, upload: Upload) -> None:
        with self._world.lock:
            if (upload.owner_kind, upload.id) in self._world.uploads:
                raise AlreadyExists
            self._world.uploads[upload.owner_kind, upload.id] = upload

    def get(self, customer_id: str, kind: UploadKind, upload_id: str) -> Upload | None:
        return self._world.uploads.get((owner_kind(customer_id, kind), upload_id))

    def page(self, customer_id: str, kind: UploadKind, *, limit: int, key: Key | None) -> Page[Upload]:
        owner = owner_kind(customer_id, kind)
        with self._world.lock:
            mine = [upload for (partition, _), upload in self._world.uploads.items() if partition == owner]
        mine.sort(key=lambda upload: upload.id, reverse=True)
        rows = [upload for upload in mine if key is None or upload.id < key["id"]]
        next_key = {"id": rows[limit - 1].id} if len(rows) > limit else None
        return Page(tuple(rows[:limit]), next_key)

    def mark_ready(self, upload: Upload, *, at: datetime, manifest: dict[str, Any] | None) -> Upload:
        with self._world.lock:
            current = self._current(upload)
            if current.status is not UploadStatus.PENDING:
                raise StaleWrite
            return self._write(replace(current, status=UploadStatus.READY, finalized_at=at, manifest=manifest))

    def mark_deleting(self, upload: Upload) -> None:
        with self._world.lock:
            current = self._current(upload)
            if current.live_jobs:
                raise StaleWrite
            self._write(replace(current, status=UploadStatus.DELETING))

    def remove(self, upload: Upload) -> None:
        with self._world.lock:
            self._world.uploads.pop((upload.owner_kind, upload.id), None)

    def _current(self, upload: Upload) -> Upload:
        current = self._world.uploads.get((upload.owner_kind, upload.id))
        if current is None:
            raise StaleWrite
        return current

    def _write(self, upload: Upload) -> Upload:
        self._world.uploads[upload.owner_kind, upload.id] = upload
        return upload
