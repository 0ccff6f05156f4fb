"""What customers run: a zip with a Python entry and, optionally, a manifest."""

from typing import Annotated

from fastapi import APIRouter, Response

from functions.customer_api import upload_steps as steps
from functions.customer_api.answers import Json
from functions.customer_api.deps import LIMIT, Caller, Cursor, IdempotencyKey, Limit, allowed
from functions.customer_api.requests.uploads import DeclarePackageRequest, declaration
from functions.customer_api.routes import PREFIX
from gpupool.accounts.model import Scope
from gpupool.uploads.model import UploadKind

router = APIRouter(prefix=f"{PREFIX}/training-packages", tags=["training packages"])
Reader = Annotated[Caller, allowed(Scope.TRAINING_READ)]
Writer = Annotated[Caller, allowed(Scope.TRAINING_WRITE)]
_KIND = UploadKind.TRAINING_PACKAGE


@router.post("", operation_id="createTrainingPackage")
async def declare(body: DeclarePackageRequest, caller: Writer, idempotency_key: IdempotencyKey = None) -> Json:
    """Declares a training package; PUT its bytes to ``upload.url`` with ``upload.headers``, then finalize. Repeating key and
    body answers the same package, with a fresh URL."""
    return steps.declare(caller, _KIND, declaration(body), idempotency_key=idempotency_key)


@router.post("/{upload_id}/finalize", operation_id="finalizeTrainingPackage")
async def finalize(upload_id: str, caller: Writer) -> Json:
    """Checks bytes, zip and manifest; repeating it answers the same."""
    return steps.finalize(caller, _KIND, upload_id)


@router.get("", operation_id="listTrainingPackages")
async def page(caller: Reader, limit: Limit = LIMIT, cursor: Cursor = None) -> Json:
    """Your training packages, newest first, without the units of their manifests."""
    return steps.page(caller, _KIND, limit=limit, cursor=cursor)


@router.get("/{upload_id}", operation_id="getTrainingPackage")
async def one(upload_id: str, caller: Reader) -> Json:
    """One training package with what was read from its manifest."""
    return steps.one(caller, _KIND, upload_id)


@router.delete("/{upload_id}", operation_id="deleteTrainingPackage")
async def delete(upload_id: str, caller: Writer) -> Response:
    """Removes bytes and entry; 409 while a job that has not ended uses it."""
    return steps.delete(caller, _KIND, upload_id)
