"""What happened to a training job, and what its units print. Progress, not results: both need only training:read."""

from typing import Annotated

from fastapi import APIRouter, Query

from functions.customer_api.answers import Json, listing
from functions.customer_api.deps import LIMIT, Caller, Cursor, Limit, allowed, known_id
from functions.customer_api.routes import PREFIX
from functions.customer_api.views import job_history as views
from gpupool.accounts.model import Scope
from gpupool.errors import ValidationFailed
from gpupool.logs.model import DEFAULT_BYTES, MAX_BYTES, MAX_LINES, From, Tail

router = APIRouter(prefix=f"{PREFIX}/training-jobs", tags=["training jobs"])
Reader = Annotated[Caller, allowed(Scope.TRAINING_READ)]

# A character has up to four bytes; a page that holds none would never go on.
_MIN_BYTES = 4
UnitId = Annotated[str | None, Query(description="the unit that started last, unless it is named")]
Attempt = Annotated[int | None, Query(ge=1, le=1_000, description="the latest, unless it is named")]
Lines = Annotated[int | None, Query(ge=1, le=MAX_LINES, description="the last lines; not together with offset")]
Offset = Annotated[int | None, Query(ge=0, le=2**53, description="where to begin, in bytes; next_offset of the page before")]
Bytes = Annotated[
    int | None, Query(ge=_MIN_BYTES, le=MAX_BYTES, description=f"the most to answer; {DEFAULT_BYTES}, with tail {MAX_BYTES}")
]


@router.get("/{job_id}/events", operation_id="listJobEvents")
async def events(job_id: str, caller: Reader, limit: Limit = LIMIT, cursor: Cursor = None) -> Json:
    """What happened to the job and its units, oldest first."""
    jobs = caller.core.jobs
    job = known_id(job_id, code="JOB_NOT_FOUND")
    return listing(
        caller,
        lambda key: jobs.events(caller.customer_id, job, limit=limit, key=key),
        views.event,
        name=f"events:{job}",
        limit=limit,
        cursor=cursor,
    )


@router.get("/{job_id}/logs", operation_id="readJobLog")
async def logs(
    job_id: str,
    caller: Reader,
    unit_id: UnitId = None,
    attempt: Attempt = None,
    tail: Lines = None,
    offset: Offset = None,
    limit_bytes: Bytes = None,
) -> Json:
    """A page of what one attempt of a unit printed, also while it runs."""
    job = known_id(job_id, code="JOB_NOT_FOUND")
    unit = None if unit_id is None else known_id(unit_id, code="UNIT_NOT_FOUND")
    part = _part(tail, offset, limit_bytes)
    return Json(views.log(caller.core.logs.read(caller.customer_id, job, unit_id=unit, attempt=attempt, part=part)))


def _part(tail: int | None, offset: int | None, limit_bytes: int | None) -> From | Tail:
    if tail is None:
        return From(offset or 0, limit_bytes or DEFAULT_BYTES)
    if offset is not None:
        raise ValidationFailed("Send tail for the end of the log or offset for a page of it, not both.", field="tail")
    return Tail(tail, limit_bytes or MAX_BYTES)
