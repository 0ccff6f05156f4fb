"""The steps that datasets and training packages share."""

from fastapi import Response

from functions.customer_api.answers import Json, listing
from functions.customer_api.deps import Caller
from functions.customer_api.views import uploads as views
from gpupool.uploads.model import Declaration, UploadKind


def declare(caller: Caller, kind: UploadKind, declaration: Declaration) -> Json:
    return Json(views.declared(caller.core.uploads.declare(caller.customer_id, kind, declaration)), status_code=201)


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
