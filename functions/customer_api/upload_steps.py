"""The steps that datasets and training packages share."""

from collections.abc import Sequence

from fastapi import Response

from functions.customer_api.answers import Json, listing, replay_headers
from functions.customer_api.deps import Caller
from functions.customer_api.views import uploads as views
from gpupool.uploads.model import Declaration, PartWish, UploadKind


def declare(caller: Caller, kind: UploadKind, declaration: Declaration, *, idempotency_key: str | None) -> Json:
    declared = caller.core.uploads.declare(caller.customer_id, kind, declaration, idempotency_key=idempotency_key)
    headers = replay_headers(declared.replayed)
    return Json(views.declared(declared), status_code=201, headers=headers)


def sign_parts(caller: Caller, kind: UploadKind, upload_id: str, wanted: Sequence[PartWish]) -> Json:
    parts = caller.core.uploads.sign_parts(caller.customer_id, kind, upload_id, wanted)
    return Json({"parts": [views.signed_part(part) for part in parts]})


def parts(caller: Caller, kind: UploadKind, upload_id: str, *, limit: int, cursor: str | None) -> Json:
    uploads = caller.core.uploads
    return listing(
        caller,
        lambda key: uploads.parts(caller.customer_id, kind, upload_id, limit=limit, key=key),
        views.stored_part,
        name=f"{kind}-parts:{upload_id}",
        limit=limit,
        cursor=cursor,
    )


def finalize(caller: Caller, kind: UploadKind, upload_id: str) -> Json:
    return Json(views.upload(caller.core.uploads.finalize(caller.customer_id, kind, upload_id)))


def one(caller: Caller, kind: UploadKind, upload_id: str) -> Json:
    return Json(views.upload(caller.core.uploads.get(caller.customer_id, kind, upload_id)))


def page(caller: Caller, kind: UploadKind, *, limit: int, cursor: str | None) -> Json:
    uploads = caller.core.uploads
    return listing(
        caller,
        lambda key: uploads.page(caller.customer_id, kind, limit=limit, key=key),
        views.listed_upload,
        name=kind,
        limit=limit,
        cursor=cursor,
    )


def delete(caller: Caller, kind: UploadKind, upload_id: str) -> Response:
    caller.core.uploads.delete(caller.customer_id, kind, upload_id)
    return Response(status_code=204)
