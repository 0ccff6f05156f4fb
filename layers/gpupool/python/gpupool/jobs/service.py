"""Training jobs as their owner sees them. Another customer's id does not exist here."""

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import NoReturn

from gpupool.artifacts.model import Artifact
from gpupool.artifacts.store import ArtifactStore
from gpupool.clock import Clock
from gpupool.errors import Conflict, NotFound, PaymentRequired, Unavailable, ValidationFailed
from gpupool.idempotency.model import IdempotencyRecord, check_format, fingerprint, record_id
from gpupool.idempotency.service import key_reused
from gpupool.idempotency.store import IdempotencyStore
from gpupool.ids import new_id
from gpupool.jobs.model import Job, JobStatus, Sensitivity, Source
from gpupool.jobs.store import JobStore
from gpupool.ledger.model import hold
from gpupool.ledger.store import LedgerStore
from gpupool.objects.store import URL_SECONDS, ObjectStore
from gpupool.pages import Key, Page
from gpupool.planning.plan import plan_stored
from gpupool.planning.pricing import quote
from gpupool.transitions.store import Obstacle, SubmitRefused, Transitions
from gpupool.units.model import ParameterValue, Unit
from gpupool.units.store import UnitStore
from gpupool.uploads.model import Upload, UploadKind, UploadStatus
from gpupool.uploads.store import UploadStore

_ROUTE = "POST /training-jobs"
_SUBMIT_TRIES = 5
_NOUN = {UploadKind.DATASET: "dataset", UploadKind.TRAINING_PACKAGE: "training package"}
_FIELD = {UploadKind.DATASET: "/dataset_id", UploadKind.TRAINING_PACKAGE: "/training_package_id"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitJob:
    """A request in its normalised spelling."""

    name: str
    dataset_id: str
    training_package_id: str
    required_vram_mb: int
    required_disk_mb: int
    max_runtime_seconds: int
    sensitivity: Sensitivity
    parameters: dict[str, ParameterValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Submitted:
    """``replayed``: the idempotency key was used before, this is what it created then."""

    job: Job
    replayed: bool


class Jobs:
    def __init__(
        self,
        *,
        jobs: JobStore,
        units: UnitStore,
        artifacts: ArtifactStore,
        uploads: UploadStore,
        ledger: LedgerStore,
        idempotency: IdempotencyStore,
        transitions: Transitions,
        objects: ObjectStore,
        clock: Clock,
    ) -> None:
        self._jobs = jobs
        self._units = units
        self._artifacts = artifacts
        self._uploads = uploads
        self._ledger = ledger
        self._idempotency = idempotency
        self._transitions = transitions
        self._objects = objects
        self._clock = clock

    def submit(self, customer_id: str, request: SubmitJob, *, idempotency_key: str | None) -> Submitted:
        """Creates a job and holds the most it can cost; a refusal leaves nothing behind."""
        print_of_request = fingerprint(asdict(request))
        key_id = None
        if idempotency_key is not None:
            key_id = record_id(customer_id=customer_id, route=_ROUTE, key=check_format(idempotency_key))
            replayed = self._replay(key_id, print_of_request)
            if replayed is not None:
                return Submitted(replayed, replayed=True)
        job = self._new_job(customer_id, request)
        record = IdempotencyRecord(key_id, print_of_request, job.id, job.created_at) if key_id else None
        try:
            self._create(job, record)
        except SubmitRefused as refused:
            if key_id is not None and Obstacle.IDEMPOTENCY_KEY_USED in refused.obstacles:
                replayed = self._replay(key_id, print_of_request)
                if replayed is not None:
                    return Submitted(replayed, replayed=True)
            self._explain(refused, job)
        return Submitted(job, replayed=False)

    def get(self, customer_id: str, job_id: str) -> Job:
        job = self._jobs.get(job_id)
        if job is None or job.customer_id != customer_id:
            raise NotFound("There is no training job with this id.", code="JOB_NOT_FOUND")
        return job

    def list(self, customer_id: str, *, status: JobStatus | None, limit: int, key: Key | None) -> Page[Job]:
        return self._jobs.page(customer_id, status=status, limit=limit, key=key)

    def cancel(self, customer_id: str, job_id: str) -> Job:
        """Asks a live job to stop; asking again changes nothing. What was completed before stays paid."""
        job = self._jobs.request_cancel(self.get(customer_id, job_id).id, at=self._clock.now())
        if job is None:
            status = self.get(customer_id, job_id).status
            raise Conflict(f"The job is {status} already; only a live job can be cancelled.", code="JOB_NOT_CANCELLABLE")
        return job

    def units(self, customer_id: str, job_id: str, *, limit: int, key: Key | None) -> Page[Unit]:
        return self._units.page(self.get(customer_id, job_id).id, limit=limit, key=key)

    def artifacts(self, customer_id: str, job_id: str, *, limit: int, key: Key | None) -> Page[Artifact]:
        return self._artifacts.page(self.get(customer_id, job_id).id, limit=limit, key=key)

    def download_url(self, customer_id: str, job_id: str, artifact_id: str) -> tuple[str, datetime]:
        """A URL for one artifact and when it expires."""
        artifact = self._artifacts.get(self.get(customer_id, job_id).id, artifact_id)
        if artifact is None:
            raise NotFound("There is no artifact with this id on the job.", code="ARTIFACT_NOT_FOUND")
        expires_at = self._clock.now() + timedelta(seconds=URL_SECONDS)
        url = self._objects.presign_get(artifact.key, filename=artifact.name, expires_seconds=URL_SECONDS)
        return url, expires_at

    def _create(self, job: Job, record: IdempotencyRecord | None) -> None:
        """Several submits of one customer meet on its balance; who loses such a meeting just tries again."""
        price = hold(customer_id=job.customer_id, job_id=job.id, amount=job.quote.credits, at=job.created_at)
        for _ in range(_SUBMIT_TRIES - 1):
            try:
                return self._transitions.submit(job, hold=price, record=record)
            except SubmitRefused as refused:
                if refused.obstacles != {Obstacle.BUSY}:
                    raise
        return self._transitions.submit(job, hold=price, record=record)

    def _replay(self, key_id: str, print_of_request: str) -> Job | None:
        record = self._idempotency.get(key_id)
        if record is None:
            return None
        if record.fingerprint != print_of_request:
            raise key_reused()
        return self._jobs.get(record.resource_id)

    def _new_job(self, customer_id: str, request: SubmitJob) -> Job:
        if request.sensitivity is Sensitivity.PRIVATE:
            raise ValidationFailed(
                "Private jobs need nodes of your own, which cannot be paired yet; use low_sensitive for controlled nodes only.",
                code="SENSITIVITY_UNAVAILABLE",
                field="/sensitivity",
            )
        dataset = self._ready(customer_id, UploadKind.DATASET, request.dataset_id)
        package = self._ready(customer_id, UploadKind.TRAINING_PACKAGE, request.training_package_id)
        return Job(
            id=new_id(),
            customer_id=customer_id,
            name=request.name,
            status=JobStatus.QUEUED,
            dataset=_source(dataset),
            package=_source(package),
            required_vram_mb=request.required_vram_mb,
            required_disk_mb=request.required_disk_mb,
            max_runtime_seconds=request.max_runtime_seconds,
            sensitivity=request.sensitivity,
            quote=quote(plan_stored(package.manifest or {}, request)),
            created_at=self._clock.now(),
            parameters=dict(request.parameters),
        )

    def _ready(self, customer_id: str, kind: UploadKind, upload_id: str) -> Upload:
        upload = self._uploads.get(customer_id, kind, upload_id)
        if upload is None or upload.status is UploadStatus.DELETING:
            raise NotFound(f"There is no {_NOUN[kind]} with this id.", code=f"{kind.name}_NOT_FOUND", field=_FIELD[kind])
        if upload.status is not UploadStatus.READY:
            raise _not_ready(kind)
        return upload

    def _explain(self, refused: SubmitRefused, job: Job) -> NoReturn:
        if Obstacle.CREDIT_INSUFFICIENT in refused.obstacles:
            available = self._ledger.balance(job.customer_id).available
            raise PaymentRequired(
                f"The job can cost up to {job.quote.credits} credits and {available} are available; "
                "buy credits, or ask for a shorter max_runtime_seconds or fewer units.",
                field="/max_runtime_seconds",
                details={"required": job.quote.credits, "available": available},
            ) from refused
        for obstacle, kind in (
            (Obstacle.DATASET_NOT_READY, UploadKind.DATASET),
            (Obstacle.PACKAGE_NOT_READY, UploadKind.TRAINING_PACKAGE),
        ):
            if obstacle in refused.obstacles:
                raise _not_ready(kind) from refused
        raise Unavailable("Another request changed the same rows; send it again.", code="TRY_AGAIN") from refused


def _source(upload: Upload) -> Source:
    return Source(
        id=upload.id,
        name=upload.name,
        content_type=upload.content_type,
        key=upload.key,
        sha256=upload.sha256,
        size_bytes=upload.size_bytes,
    )


def _not_ready(kind: UploadKind) -> Conflict:
    return Conflict(
        f"The {_NOUN[kind]} is not finalized; upload its bytes and call finalize first.",
        code=f"{kind.name}_NOT_READY",
        field=_FIELD[kind],
    )
