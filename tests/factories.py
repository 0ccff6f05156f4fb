"""Valid rows of which a test overrides what matters to it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.simulate.packages import SINGLE, dag
from gpupool.accounts.model import Customer
from gpupool.clock import Clock
from gpupool.jobs.model import Job, Sensitivity
from gpupool.jobs.submit import SubmitJob
from gpupool.ledger.model import Transfer, grant
from gpupool.limits.decide import admit
from gpupool.limits.memory import MemoryLimitStore
from gpupool.limits.model import Admission, Allowance
from gpupool.limits.service import Limits, rates
from gpupool.limits.store import LimitStore
from gpupool.planning.manifest import manifest_to_dict, parse_manifest
from gpupool.units.decide import mark_of
from gpupool.units.model import LeaseState, Output
from gpupool.uploads.model import Upload, UploadKind, UploadStatus
from gpupool.wire.units import Doorway
from gpupool.wire.vocabulary import ArtifactKind
from gpupool.world import World
from tests.support.work import CUSTOMER_ID, a_job, a_unit, some_work

__all__ = [
    "CUSTOMER_ID",
    "NOW",
    "SINGLE",
    "a_customer",
    "a_doorway",
    "a_grant",
    "a_job",
    "a_lease",
    "a_manifest",
    "a_package",
    "a_request",
    "a_unit",
    "an_output",
    "an_upload",
    "dag",
    "some_work",
]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SHA256 = "ab" * 32
FILES = frozenset({"train.py", "evaluate.py"})


def a_customer(**changes: Any) -> Customer:
    defaults: dict[str, Any] = {
        "id": CUSTOMER_ID,
        "email": "ada@example.org",
        "name": "Ada",
        "password_hash": "plain:secret",
        "created_at": NOW,
    }
    return Customer(**(defaults | changes))


def an_upload(**changes: Any) -> Upload:
    """A dataset that is ready."""
    defaults: dict[str, Any] = {
        "id": "dataset-1",
        "customer_id": CUSTOMER_ID,
        "kind": UploadKind.DATASET,
        "name": "digits.zip",
        "content_type": "application/zip",
        "size_bytes": 10,
        "sha256": SHA256,
        "status": UploadStatus.READY,
        "created_at": NOW,
        "finalized_at": NOW,
    }
    return Upload(**(defaults | changes))


def a_manifest(text: str | None = SINGLE) -> dict[str, Any]:
    """A package's manifest as its row keeps it."""
    return manifest_to_dict(parse_manifest(text, FILES))


def a_package(text: str | None = SINGLE, **changes: Any) -> Upload:
    """A training package that is ready."""
    upload = an_upload(id="package-1", kind=UploadKind.TRAINING_PACKAGE, name="package.zip", manifest=a_manifest(text))
    return replace(upload, **changes)


def a_request(**changes: Any) -> SubmitJob:
    defaults: dict[str, Any] = {
        "name": "digits",
        "dataset_id": "dataset-1",
        "training_package_id": "package-1",
        "required_vram_mb": 0,
        "required_disk_mb": 100,
        "max_runtime_seconds": 600,
        "sensitivity": Sensitivity.PUBLIC,
    }
    return SubmitJob(**(defaults | changes))


def a_grant(**changes: Any) -> Transfer:
    """Credits from outside."""
    defaults: dict[str, Any] = {"customer_id": CUSTOMER_ID, "grant_id": "g-1", "amount": 1_000, "at": NOW}
    return grant(**(defaults | changes))


def a_doorway(**changes: Any) -> Doorway:
    defaults = {"queue_url": "memory://public-cpu", "receipt_handle": "receipt-1"}
    return Doorway(**(defaults | changes))


def a_lease(**changes: Any) -> LeaseState:
    """A lease as the unit's row keeps it; over when it is made unless ``expires_at`` says otherwise."""
    defaults: dict[str, Any] = {
        "token": "token-1",
        "node_id": "node-1",
        "node_name": "node-0001",
        "expires_at": NOW,
        "deadline": NOW + timedelta(hours=3),
        "bell": mark_of(a_doorway()),
    }
    return LeaseState(**(defaults | changes))


def an_output(name: str = "model.tar.gz", **changes: Any) -> Output:
    """A file that a unit left behind."""
    defaults: dict[str, Any] = {"name": name, "kind": ArtifactKind.MODEL, "size_bytes": 3, "sha256": SHA256}
    return Output(**(defaults | changes))


def some_limits(world: World, clock: Clock) -> Limits:
    """The published rates, over memory."""
    return Limits(
        store=MemoryLimitStore(world, clock), rates=rates(requests_per_minute=600, jobs_per_minute=10, logins_per_minute=10)
    )


def an_admission(limits: LimitStore, job: Job, *, units: int = 1) -> Admission:
    """Room for the job, whatever its customer has running."""
    plenty = Allowance(live_jobs=1_000, units_per_day=100_000)
    return admit(limits.quota(job.customer_id), job_id=job.id, units=units, allowance=plenty, now=job.created_at)
