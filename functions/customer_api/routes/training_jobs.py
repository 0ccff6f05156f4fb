"""Training jobs, their compute units and what they made."""

from typing import Annotated

from fastapi import APIRouter

from functions.customer_api.answers import Json, listing, moment, replay_headers
from functions.customer_api.deps import LIMIT, Caller, Cursor, IdempotencyKey, Limit, allowed, known_id
from functions.customer_api.requests.jobs import CreateJobRequest, submission
from functions.customer_api.routes import PREFIX
from functions.customer_api.views import jobs as views
from gpupool.accounts.model import Scope
from gpupool.jobs.model import JobStatus

router = APIRouter(prefix=f"{PREFIX}/training-jobs", tags=["training jobs"])
Reader = Annotated[Caller, allowed(Scope.TRAINING_READ)]
Writer = Annotated[Caller, allowed(Scope.TRAINING_WRITE)]
ArtifactReader = Annotated[Caller, allowed(Scope.ARTIFACT_READ)]


@router.post("", operation_id="createTrainingJob")
async def create(body: CreateJobRequest, caller: Writer, idempotency_key: IdempotencyKey = None) -> Json:
    """Quotes the job, holds that many credits and starts it. Repeating key and body answers the same job again."""
    submitted = caller.core.jobs.submit(caller.customer_id, submission(body), idempotency_key=idempotency_key)
    headers = replay_headers(submitted.replayed)
    return Json(views.job(submitted.job), status_code=201, headers=headers)


@router.post("/quote", operation_id="quoteTrainingJob")
async def quote(body: CreateJobRequest, caller: Reader) -> Json:
    """What creating this job would plan and hold, refused as creating it would be; whether the credits suffice is said.
    Writes nothing and holds nothing."""
    return Json(views.offer(caller.core.jobs.quote(caller.customer_id, submission(body))))


@router.get("", operation_id="listTrainingJobs")
async def page(caller: Reader, status: JobStatus | None = None, limit: Limit = LIMIT, cursor: Cursor = None) -> Json:
    """Your jobs, newest first, all of them or those of one status."""
    jobs = caller.core.jobs
    return listing(
        caller,
        lambda key: jobs.list(caller.customer_id, status=status, limit=limit, key=key),
        views.job,
        name=f"training-jobs:{status or ''}",
        limit=limit,
        cursor=cursor,
    )


@router.get("/{job_id}", operation_id="getTrainingJob")
async def one(job_id: str, caller: Reader) -> Json:
    """One job with its progress; every 5 seconds is often enough to ask."""
    return Json(views.job(caller.core.jobs.get(caller.customer_id, _known(job_id))))


@router.post("/{job_id}/cancel", operation_id="cancelTrainingJob")
async def cancel(job_id: str, caller: Writer) -> Json:
    """Asks the job to stop; what was completed before stays paid, the rest of the hold is released."""
    return Json(views.job(caller.core.jobs.cancel(caller.customer_id, _known(job_id))), status_code=202)


@router.get("/{job_id}/compute-units", operation_id="listComputeUnits")
async def units(job_id: str, caller: Reader, limit: Limit = LIMIT, cursor: Cursor = None) -> Json:
    """The units that the job was planned into, in the order of the plan."""
    jobs = caller.core.jobs
    job = _known(job_id)
    return listing(
        caller,
        lambda key: jobs.units(caller.customer_id, job, limit=limit, key=key),
        views.unit,
        name=f"compute-units:{job}",
        limit=limit,
        cursor=cursor,
    )


@router.get("/{job_id}/artifacts", operation_id="listArtifacts")
async def artifacts(job_id: str, caller: ArtifactReader, limit: Limit = LIMIT, cursor: Cursor = None) -> Json:
    """What ended units left behind: models, checkpoints, metrics and logs, by unit and name. A page may hold fewer than
    `limit`, even none, while `has_more` is true: go on with `next_cursor` until it is null."""
    jobs = caller.core.jobs
    job = _known(job_id)
    return listing(
        caller,
        lambda key: jobs.artifacts(caller.customer_id, job, limit=limit, key=key),
        views.artifact,
        name=f"artifacts:{job}",
        limit=limit,
        cursor=cursor,
    )


@router.post("/{job_id}/artifacts/{artifact_id}/download-url", operation_id="createDownloadUrl")
async def download_url(job_id: str, artifact_id: str, caller: ArtifactReader) -> Json:
    """A URL that downloads one artifact for 15 minutes."""
    artifact = known_id(artifact_id, code="ARTIFACT_NOT_FOUND")
    url, expires_at = caller.core.jobs.download_url(caller.customer_id, _known(job_id), artifact)
    return Json({"download_url": url, "expires_at": moment(expires_at)})


def _known(job_id: str) -> str:
    return known_id(job_id, code="JOB_NOT_FOUND")
