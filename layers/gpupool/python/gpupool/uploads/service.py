"""Uploads: declared first, sent straight to the bucket, then checked once and never changed again."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from gpupool.clock import Clock
from gpupool.errors import AlreadyExists, Conflict, NotFound, StaleWrite
from gpupool.idempotency.service import Once
from gpupool.objects.model import ObjectHead, StoredPart
from gpupool.objects.store import URL_SECONDS, ObjectStore
from gpupool.pages import Key, Page
from gpupool.uploads.model import (
    UNFINISHED_LIFETIME,
    Declaration,
    Declared,
    Multipart,
    PartWish,
    SignedPart,
    Upload,
    UploadKind,
    UploadStatus,
)
from gpupool.uploads.parts import PartTerms, check_numbers, missing_parts, part_size_of
from gpupool.uploads.store import UploadStore

_MAX_ID = 64
_ROUTES = {UploadKind.DATASET: "POST /datasets", UploadKind.TRAINING_PACKAGE: "POST /training-packages"}
_PARTS_AT_ONCE = 1_000
_MISSING_TOLD = 100


class Uploads:
    def __init__(
        self, *, store: UploadStore, objects: ObjectStore, once: Once, clock: Clock, terms: PartTerms | None = None
    ) -> None:
        self._store = store
        self._objects = objects
        self._once = once
        self._clock = clock
        self._terms = terms or PartTerms()

    def declare(
        self, customer_id: str, kind: UploadKind, declaration: Declaration, *, idempotency_key: str | None = None
    ) -> Declared:
        """A new pending upload, with a URL that accepts exactly the declared bytes for 15 minutes, or to be sent in parts.

        Repeating key and declaration answers the upload that is there, with a fresh URL. IDEMPOTENCY_KEY_INVALID,
        IDEMPOTENCY_CONFLICT.
        """
        claim = self._once.claim(customer_id, _ROUTES[kind], idempotency_key, asdict(declaration))
        known = self._store.get(customer_id, kind, claim.resource_id) if claim.repeated else None
        if known is not None:
            return self._declared(known, replayed=True)
        upload = self._begun(customer_id, kind, claim.resource_id, declaration)
        declared = self._declared(upload, replayed=False)
        try:
            self._store.add(upload)
        except AlreadyExists:  # the same key at the same moment
            self._abort(upload)
            return self._declared(self._find(customer_id, kind, upload.id), replayed=True)
        return declared

    def sign_parts(
        self, customer_id: str, kind: UploadKind, upload_id: str, wanted: Sequence[PartWish]
    ) -> tuple[SignedPart, ...]:
        """A URL for each part, which accepts exactly that part's bytes for 15 minutes; a part may be sent again.

        VALIDATION_FAILED for a number that is not one of its parts; UPLOAD_NOT_MULTIPART, UPLOAD_NOT_PENDING, UPLOAD_EXPIRED.
        """
        upload, multipart = self._arriving(customer_id, kind, upload_id)
        check_numbers(upload, wanted)
        return tuple(self._signed_part(upload, multipart, wish) for wish in wanted)

    def parts(self, customer_id: str, kind: UploadKind, upload_id: str, *, limit: int, key: Key | None) -> Page[StoredPart]:
        """The parts that have arrived, by number. UPLOAD_NOT_MULTIPART, UPLOAD_NOT_PENDING, UPLOAD_EXPIRED."""
        upload, multipart = self._arriving(customer_id, kind, upload_id)
        after = int(key["after"]) if key else 0
        found = self._objects.list_parts(upload.key, upload_id=multipart.id, after=after, limit=limit + 1)
        if found is None:
            raise _not_pending() if self._objects.head(upload.key) else _expired()
        rows = found[:limit]
        return Page(rows, {"after": str(rows[-1].number)} if len(found) > limit else None)

    def finalize(self, customer_id: str, kind: UploadKind, upload_id: str) -> Upload:
        """Checks what arrived and makes the upload usable; a ready upload is answered as it is.

        UPLOAD_MISSING (with ``missing_parts``), UPLOAD_EXPIRED, UPLOAD_MISMATCH, and for packages what
        gpupool.uploads.packages refuses. A refusal changes nothing.
        """
        upload = self.get(customer_id, kind, upload_id)
        if upload.status is UploadStatus.READY:
            return upload
        if upload.multipart is not None:
            self._put_together(upload, upload.multipart)
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
        if upload.status is not UploadStatus.READY:
            self._abort(upload)  # before the object: what is put together until here is removed below
        self._objects.delete(upload.key)
        self._store.remove(upload)

    def _begun(self, customer_id: str, kind: UploadKind, upload_id: str, declaration: Declaration) -> Upload:
        """The row to be, with its upload in parts begun at the bucket. If it is never written, the bucket forgets the parts."""
        upload = Upload(
            id=upload_id,
            customer_id=customer_id,
            kind=kind,
            name=declaration.name,
            content_type=declaration.content_type,
            size_bytes=declaration.size_bytes,
            sha256=declaration.sha256,
            status=UploadStatus.PENDING,
            created_at=self._clock.now(),
        )
        part_size = part_size_of(upload.size_bytes, self._terms)
        if part_size is None:
            return upload
        begun = self._objects.create_multipart(upload.key, content_type=upload.content_type)
        return replace(upload, multipart=Multipart(begun, part_size))

    def _declared(self, upload: Upload, *, replayed: bool) -> Declared:
        if upload.status is UploadStatus.DELETING:
            message = "What this Idempotency-Key declared is being deleted; use a new key."
            raise Conflict(message, code="IDEMPOTENCY_CONFLICT", field="Idempotency-Key")
        if upload.multipart is not None:
            return Declared(upload, None, upload.created_at + UNFINISHED_LIFETIME, replayed)
        signed = self._objects.presign_put(
            upload.key,
            size_bytes=upload.size_bytes,
            sha256=upload.sha256,
            content_type=upload.content_type,
            expires_seconds=URL_SECONDS,
        )
        return Declared(upload, signed, self._url_end(), replayed)

    def _arriving(self, customer_id: str, kind: UploadKind, upload_id: str) -> tuple[Upload, Multipart]:
        """An upload whose parts may still be sent."""
        upload = self.get(customer_id, kind, upload_id)
        if upload.multipart is None:
            message = "This upload goes in one piece; PUT it to the upload.url of its declaration."
            raise Conflict(message, code="UPLOAD_NOT_MULTIPART", field="/id")
        if upload.status is not UploadStatus.PENDING:
            raise _not_pending()
        if self._clock.now() >= upload.created_at + UNFINISHED_LIFETIME:
            raise _expired()
        return upload, upload.multipart

    def _signed_part(self, upload: Upload, multipart: Multipart, wish: PartWish) -> SignedPart:
        signed = self._objects.presign_part(
            upload.key,
            upload_id=multipart.id,
            number=wish.number,
            size_bytes=upload.part_bytes(wish.number),
            sha256=wish.sha256,
            expires_seconds=URL_SECONDS,
        )
        return SignedPart(wish.number, signed, self._url_end())

    def _put_together(self, upload: Upload, multipart: Multipart) -> None:
        parts = self._all_parts(upload, multipart)
        if parts is None:
            return  # put together by a call that broke off afterwards, or thrown away: the object's head tells which
        missing = missing_parts(upload, parts)
        if missing:
            raise Conflict(
                f"{len(missing)} of {upload.parts_total} parts have not arrived; send them, then finalize again.",
                code="UPLOAD_MISSING",
                field="/id",
                details={"missing_parts": missing[:_MISSING_TOLD], "missing_parts_total": len(missing)},
            )
        self._objects.complete_multipart(upload.key, upload_id=multipart.id, parts=parts)

    def _all_parts(self, upload: Upload, multipart: Multipart) -> list[StoredPart] | None:
        found: list[StoredPart] = []
        while True:
            after = found[-1].number if found else 0
            more = self._objects.list_parts(upload.key, upload_id=multipart.id, after=after, limit=_PARTS_AT_ONCE)
            if more is None:
                return None
            found += more
            if len(more) < _PARTS_AT_ONCE:
                return found

    def _abort(self, upload: Upload) -> None:
        if upload.multipart is not None:
            self._objects.abort_multipart(upload.key, upload_id=upload.multipart.id)

    def _url_end(self) -> datetime:
        return self._clock.now() + timedelta(seconds=URL_SECONDS)

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
    if head is None and upload.multipart is not None:
        raise _expired()
    if head is None:
        message = "The bytes have not arrived; PUT them to upload.url with upload.headers, then finalize again."
        raise Conflict(message, code="UPLOAD_MISSING", field="/id")
    # The bucket has no digest of the whole when it arrived in parts: there the machine that fetches it is the first to check.
    digest = head.sha256 if upload.proven else upload.sha256
    for field, arrived, declared in (
        ("size_bytes", head.size_bytes, upload.size_bytes),
        ("sha256", digest, upload.sha256),
    ):
        if arrived != declared:
            raise Conflict(
                f"What arrived differs from what was declared ({field}); declare the upload again and send those bytes.",
                code="UPLOAD_MISMATCH",
                field=f"/{field}",
                details={"declared": declared, "arrived": arrived},
            )


def _not_pending() -> Conflict:
    message = "All of its parts have been put together, so none can be sent or listed; finalize it unless it is ready."
    return Conflict(message, code="UPLOAD_NOT_PENDING", field="/id")


def _expired() -> Conflict:
    message = "Its parts were not finalized within 7 days and have been thrown away; declare the upload again."
    return Conflict(message, code="UPLOAD_EXPIRED", field="/id")


def _not_found(kind: UploadKind) -> NotFound:
    return NotFound(f"You have no {_NOUNS[kind]} with this id; list yours to find it.", code=f"{kind.upper()}_NOT_FOUND")
