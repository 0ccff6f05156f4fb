"""Submitting a training job: looked at once, decided, then written in one transaction or not at all."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import NoReturn

from gpupool.clock import Clock
from gpupool.errors import Conflict, NotFound, PaymentRequired, Unavailable, ValidationFailed
from gpupool.idempotency.model import IdempotencyRecord, check_format, fingerprint, record_id
from gpupool.idempotency.service import key_reused
from gpupool.ids import new_id
from gpupool.jobs.model import Job, JobStatus, Quote, Sensitivity, Source
from gpupool.jobs.store import JobStore
from gpupool.ledger.model import hold
from gpupool.ledger.store import LedgerStore
from gpupool.limits.decide import admit
from gpupool.limits.model import Allowance
from gpupool.planning.model import Plan
from gpupool.planning.plan import plan_stored
from gpupool.planning.pricing import quote
from gpupool.transitions.store import Obstacle, Seen, SubmitRefused, Transitions, Wanted
from gpupool.units.model import ParameterValue
from gpupool.uploads.model import Upload, UploadKind, UploadStatus

_ROUTE = "POST /training-jobs"
_SUBMIT_TRIES = 8
# What passes by itself: others of the customer's requests met this one on the same rows.
_PASSING = frozenset({Obstacle.BUSY, Obstacle.QUOTA_FULL, Obstacle.IDEMPOTENCY_KEY_USED})
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


@dataclass(frozen=True, slots=True)
class Offer:
    """What a job would be: the plan, and the most it can cost."""

    plan: Plan
    quote: Quote
    credits_available: int


class Submissions:
    def __init__(
        self,
        *,
        jobs: JobStore,
        ledger: LedgerStore,
        transitions: Transitions,
        allowance: Allowance,
        clock: Clock,
        new_id: Callable[[], str] = new_id,
    ) -> None:
        self._new_id = new_id
        self._jobs = jobs
        self._ledger = ledger
        self._transitions = transitions
        self._allowance = allowance
        self._clock = clock

    def quote(self, customer_id: str, request: SubmitJob) -> Offer:
        """What ``submit`` would plan and hold, refused as it would refuse; money and limits aside. Writes nothing."""
        plan = _plan(request, self._look(customer_id, request, None))
        return Offer(plan, quote(plan), self._ledger.balance(customer_id).available)

    def submit(self, customer_id: str, request: SubmitJob, *, idempotency_key: str | None) -> Submitted:
        """Creates a job and holds the most it can cost; a refusal leaves nothing behind."""
        key_id = None
        if idempotency_key is not None:
            key_id = record_id(customer_id=customer_id, route=_ROUTE, key=check_format(idempotency_key))
        tries = 0
        while True:
            tries += 1
            seen = self._look(customer_id, request, key_id)
            if seen.record is not None:
                return self._replay(seen.record, request)
            plan = _plan(request, seen)
            job = self._new_job(customer_id, request, seen, quote(plan))
            try:
                self._create(job, plan, seen, key_id, request)
            except SubmitRefused as refused:
                passing = refused.obstacles <= _PASSING or Obstacle.IDEMPOTENCY_KEY_USED in refused.obstacles
                if passing and tries < _SUBMIT_TRIES:
                    continue
                self._explain(refused, job)
            return Submitted(job, replayed=False)

    def _look(self, customer_id: str, request: SubmitJob, key_id: str | None) -> Seen:
        now = self._clock.now()
        return self._transitions.look(Wanted(customer_id, request.dataset_id, request.training_package_id, now, key_id))

    def _create(self, job: Job, plan: Plan, seen: Seen, key_id: str | None, request: SubmitJob) -> None:
        units = len(plan.units)
        admission = admit(seen.quota, job_id=job.id, units=units, allowance=self._allowance, now=job.created_at)
        price = hold(customer_id=job.customer_id, job_id=job.id, amount=job.quote.credits, at=job.created_at)
        record = None
        if key_id is not None:
            record = IdempotencyRecord(key_id, fingerprint(asdict(request)), job.id, job.created_at)
        self._transitions.submit(job, hold=price, admission=admission, record=record)

    def _replay(self, record: IdempotencyRecord, request: SubmitJob) -> Submitted:
        if record.fingerprint != fingerprint(asdict(request)):
            raise key_reused()
        job = self._jobs.get(record.resource_id)
        if job is None:
            raise LookupError(f"job {record.resource_id} was written with its idempotency record and is gone")
        return Submitted(job, replayed=True)

    def _new_job(self, customer_id: str, request: SubmitJob, seen: Seen, price: Quote) -> Job:
        return Job(
            id=self._new_id(),
            customer_id=customer_id,
            name=request.name,
            status=JobStatus.QUEUED,
            dataset=_source(_ready(seen.dataset, UploadKind.DATASET)),
            package=_source(_ready(seen.package, UploadKind.TRAINING_PACKAGE)),
            required_vram_mb=request.required_vram_mb,
            required_disk_mb=request.required_disk_mb,
            max_runtime_seconds=request.max_runtime_seconds,
            sensitivity=request.sensitivity,
            quote=price,
            created_at=self._clock.now(),
            parameters=dict(request.parameters),
        )

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


def _plan(request: SubmitJob, seen: Seen) -> Plan:
    """The plan of what was asked for; every refusal that does not depend on money or limits."""
    if request.sensitivity is Sensitivity.PRIVATE:
        raise ValidationFailed(
            "Private jobs need nodes of your own, which cannot be paired yet; use low_sensitive for controlled nodes only.",
            code="SENSITIVITY_UNAVAILABLE",
            field="/sensitivity",
        )
    _ready(seen.dataset, UploadKind.DATASET)
    return plan_stored(_ready(seen.package, UploadKind.TRAINING_PACKAGE).manifest or {}, request)


def _ready(upload: Upload | None, kind: UploadKind) -> Upload:
    if upload is None or upload.status is UploadStatus.DELETING:
        raise NotFound(f"There is no {_NOUN[kind]} with this id.", code=f"{kind.name}_NOT_FOUND", field=_FIELD[kind])
    if upload.status is not UploadStatus.READY:
        raise _not_ready(kind)
    return upload


def _source(upload: Upload) -> Source:
    return Source(
        id=upload.id,
        name=upload.name,
        content_type=upload.content_type,
        key=upload.key,
        sha256=upload.sha256,
        size_bytes=upload.size_bytes,
        proven=upload.proven,
    )


def _not_ready(kind: UploadKind) -> Conflict:
    return Conflict(
        f"The {_NOUN[kind]} is not finalized; upload its bytes and call finalize first.",
        code=f"{kind.name}_NOT_READY",
        field=_FIELD[kind],
    )
