"""What customers train on."""

from typing import Annotated

from fastapi import APIRouter, Response

from functions.customer_api import upload_steps as steps
from functions.customer_api.answers import Json
from functions.customer_api.deps import LIMIT, Caller, Cursor, IdempotencyKey, Limit, allowed
from functions.customer_api.requests.uploads import DeclareDatasetRequest, SignPartsRequest, declaration, part_wishes
from functions.customer_api.routes import PREFIX
from gpupool.accounts.model import Scope
from gpupool.uploads.model import UploadKind

router = APIRouter(prefix=f"{PREFIX}/datasets", tags=["datasets"])
Reader = Annotated[Caller, allowed(Scope.DATASET_READ)]
Writer = Annotated[Caller, allowed(Scope.DATASET_WRITE)]
_KIND = UploadKind.DATASET


@router.post("", operation_id="createDataset")
async def declare(body: DeclareDatasetRequest, caller: Writer, idempotency_key: IdempotencyKey = None) -> Json:
    """Declares a dataset. ``upload.method`` says how its bytes go: PUT them to ``upload.url`` with ``upload.headers``, or send
    them as MULTIPART; then finalize. Repeating key and body answers the same dataset, with a fresh URL."""
    return steps.declare(caller, _KIND, declaration(body), idempotency_key=idempotency_key)


@router.post("/{upload_id}/parts", operation_id="createDatasetPartUrls")
async def sign_parts(upload_id: str, body: SignPartsRequest, caller: Writer) -> Json:
    """For a MULTIPART upload: a URL for each part, which takes exactly that part's bytes for 15 minutes."""
    return steps.sign_parts(caller, _KIND, upload_id, part_wishes(body))


@router.get("/{upload_id}/parts", operation_id="listDatasetParts")
async def parts(upload_id: str, caller: Reader, limit: Limit = LIMIT, cursor: Cursor = None) -> Json:
    """The parts that have arrived, by number; send the others to go on after an interruption."""
    return steps.parts(caller, _KIND, upload_id, limit=limit, cursor=cursor)


@router.post("/{upload_id}/finalize", operation_id="finalizeDataset")
async def finalize(upload_id: str, caller: Writer) -> Json:
    """Checks that the declared bytes arrived; repeating it answers the same."""
    return steps.finalize(caller, _KIND, upload_id)


@router.get("", operation_id="listDatasets")
async def page(caller: Reader, limit: Limit = LIMIT, cursor: Cursor = None) -> Json:
    """Your datasets, newest first."""
    return steps.page(caller, _KIND, limit=limit, cursor=cursor)


@router.get("/{upload_id}", operation_id="getDataset")
async def one(upload_id: str, caller: Reader) -> Json:
    """One dataset."""
    return steps.one(caller, _KIND, upload_id)


@router.delete("/{upload_id}", operation_id="deleteDataset")
async def delete(upload_id: str, caller: Writer) -> Response:
    """Removes bytes and entry; 409 while a job that has not ended uses it."""
    return steps.delete(caller, _KIND, upload_id)
