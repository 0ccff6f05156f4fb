"""Uploads: declared first, sent straight to the bucket, then checked once and never changed again."""

from datetime import timedelta
from typing import Any

from gpupool.clock import Clock
from gpupool.errors import Conflict, NotFound, StaleWrite
from gpupool.ids import new_id
from gpupool.objects.model import ObjectHead
from gpupool.objects.store import URL_SECONDS, ObjectStore
from gpupool.pages import Key, Page
from gpupool.uploads.model import Declaration, Declared, Upload, UploadKind, UploadStatus
from gpupool.uploads.store import UploadStore

_MAX_ID = 64


class Uploads:
    def __init__(self, *, store: UploadStore, objects: ObjectStore, clock: Clock) -> None:
        self._store = store
        self._objects = objects
        self._clock = clock

    def declare(self, customer_id: str, kind: UploadKind, declaration: Declaration) -> Declared:
        """A new pending upload, with a URL that accepts exactly the declared bytes for 15 minutes."""
        now = self._clock.now()
        upload = Upload(
            id=new_id(),
            customer_id=customer_id,
            kind=kind,
            name=declaration.name,
            content_type=declaration.content_type,
            size_bytes=declaration.size_bytes,
            sha256=declaration.sha256,
            status=UploadStatus.PENDING,
            created_at=now,
        )
        signed = self._objects.presign_put(
            upload.key,
            size_bytes=upload.size_bytes,
            sha256=upload.sha256,
            content_type=upload.content_type,
            expires_seconds=URL_SECONDS,
        )
        self._store.add(upload)
        return Declared(upload, signed, now + timedelta(seconds=URL_SECONDS))

    def finalize(self, customer_id: str, kind: UploadKind, upload_id: str) -> Upload:
        """Checks what arrived and makes the upload usable; a ready upload is answered as it is.

        UPLOAD_MISSING, UPLOAD_MISMATCH, and for packages what gpupool.uploads.packages refuses. A refusal changes nothing.
        """
        upload = self.get(customer_id, kind, upload_id)
        if upload.status is UploadStatus.READY:
            return upload
        _check_arrival(upload, self._objects.head(upload.key))
        manifest = self._manifest(upload) if kind is UploadKind.TRAINING_PACKAGE else None
        try:
            return self._store.mark_ready(upload, at=self._clock.now(), manifest=manifest)
        except StaleWrite:
            return self._ready(customer_id, kind, upload_id)

    def get(self, customer_id: str, kind: UploadKind, upload_id: str) -> Upload:
        """The upload; NotFound when it is absent, being deleted or another customer's."""
        upload = self._find(customer_id, kind, upload_id)
        if upload.status is UploadStatus.DELETING:
            raise _not_found(kind)
        return upload

    def page(self, customer_id: str, kind: UploadKind, *, limit: int, key: Key | None) -> Page[Upload]:
        """Newest first; one being deleted is shown as such until its bytes are gone."""
        return self._store.page(customer_id, kind, limit=limit, key=key)

    def delete(self, customer_id: str, kind: UploadKind, upload_id: str) -> None:
        """Removes bytes and row; Conflict while a live job needs them. The next call takes up a deletion that broke off."""
        upload = self._find(customer_id, kind, upload_id)
        try:
            self._store.mark_deleting(upload)
        except StaleWrite as error:
            self._find(customer_id, kind, upload_id)
            noun = _NOUNS[kind]
            code = f"{kind.upper()}_IN_USE"
            raise Conflict(f"A job that has not ended uses this {noun}; wait for it or cancel it.", code=code) from error
        self._objects.delete(upload.key)
        self._store.remove(upload)

    def _ready(self, customer_id: str, kind: UploadKind, upload_id: str) -> Upload:
        """The row that somebody else finalized, or deleted, in the meantime."""
        upload = self.get(customer_id, kind, upload_id)
        if upload.status is not UploadStatus.READY:
            raise _not_found(kind)
        return upload

    def _find(self, customer_id: str, kind: UploadKind, upload_id: str) -> Upload:
        upload = self._store.get(customer_id, kind, upload_id) if 0 < len(upload_id) <= _MAX_ID else None
        if upload is None:
            raise _not_found(kind)
        return upload

    def _manifest(self, upload: Upload) -> dict[str, Any]:
        # Only finalizing needs a zip reader; every other request starts without.
        from gpupool.objects.ranged import RangedFile
        from gpupool.planning.manifest import manifest_to_dict
        from gpupool.uploads.packages import MAX_BYTES_READ, read_package

        def fetch(start: int, length: int) -> bytes:
            return self._objects.read_range(upload.key, start=start, length=length)

        return manifest_to_dict(read_package(RangedFile(fetch, size=upload.size_bytes, limit=MAX_BYTES_READ)))


_NOUNS = {UploadKind.DATASET: "dataset", UploadKind.TRAINING_PACKAGE: "training package"}


def _check_arrival(upload: Upload, head: ObjectHead | None) -> None:
    if head is None:
        message = "The bytes have not arrived; PUT them to upload.url with upload.headers, then finalize again."
        raise Conflict(message, code="UPLOAD_MISSING", field="/id")
    for field, arrived, declared in (
        ("size_bytes", head.size_bytes, upload.size_bytes),
        ("sha256", head.sha256, upload.sha256),
    ):
        if arrived != declared:
            raise Conflict(
                f"What arrived differs from what was declared ({field}); declare the upload again and send those bytes.",
                code="UPLOAD_MISMATCH",
                field=f"/{field}",
                details={"declared": declared, "arrived": arrived},
            )


def _not_found(kind: UploadKind) -> NotFound:
    return NotFound(f"You have no {_NOUNS[kind]} with this id; list yours to find it.", code=f"{kind.upper()}_NOT_FOUND")
