"""The platform's tables twice: in memory and in DynamoDB, behind the same ports. A difference between them is a bug."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from moto import mock_aws

from gpupool.artifacts.dynamo import DynamoArtifactStore
from gpupool.artifacts.memory import MemoryArtifactStore
from gpupool.artifacts.store import ArtifactStore
from gpupool.clock import FixedClock
from gpupool.events.dynamo import DynamoEventStore
from gpupool.events.memory import MemoryEventStore
from gpupool.events.store import EventStore
from gpupool.idempotency.dynamo import DynamoIdempotencyStore
from gpupool.idempotency.memory import MemoryIdempotencyStore
from gpupool.idempotency.store import IdempotencyStore
from gpupool.jobs.dynamo import DynamoJobStore
from gpupool.jobs.memory import MemoryJobStore
from gpupool.jobs.model import Job, JobStatus, Source
from gpupool.jobs.store import JobStore
from gpupool.ledger.dynamo import DynamoLedgerStore
from gpupool.ledger.memory import MemoryLedgerStore
from gpupool.ledger.model import hold
from gpupool.ledger.store import LedgerStore
from gpupool.limits.dynamo import DynamoLimitStore
from gpupool.limits.memory import MemoryLimitStore
from gpupool.limits.store import LimitStore
from gpupool.transitions.dynamo import DynamoTransitions, Tables
from gpupool.transitions.memory import MemoryTransitions
from gpupool.transitions.store import Transitions
from gpupool.units.dynamo import DynamoUnitStore
from gpupool.units.memory import MemoryUnitStore
from gpupool.units.store import UnitStore
from gpupool.uploads.dynamo import DynamoUploadStore
from gpupool.uploads.memory import MemoryUploadStore
from gpupool.uploads.model import UploadKind
from gpupool.uploads.store import UploadStore
from gpupool.webhooks.dynamo import DynamoWebhookStore
from gpupool.webhooks.memory import MemoryWebhookStore
from gpupool.webhooks.store import WebhookStore
from gpupool.world import World
from tests.factories import CUSTOMER_ID, NOW, a_grant, a_job, an_admission, an_upload
from tests.support.tables import create_tables

TABLES = Tables(
    jobs="jobs",
    units="units",
    artifacts="artifacts",
    ledger="ledger",
    uploads="uploads",
    idempotency="idempotency",
    limits="limits",
)


class Stores:
    """One kind of every store, over the same tables."""

    clock: FixedClock
    jobs: JobStore
    units: UnitStore
    artifacts: ArtifactStore
    ledger: LedgerStore
    uploads: UploadStore
    idempotency: IdempotencyStore
    events: EventStore
    limits: LimitStore
    webhooks: WebhookStore
    transitions: Transitions

    def submitted(self, **changes: Any) -> Job:
        """A new job with its hold, both uploads in use."""
        dataset, package = an_upload(), an_upload(id="package-1", kind=UploadKind.TRAINING_PACKAGE)
        for upload in (dataset, package):
            if self.uploads.get(CUSTOMER_ID, upload.kind, upload.id) is None:
                self.uploads.add(upload)
        if not self.ledger.balance(CUSTOMER_ID).granted:
            self.ledger.post(a_grant())
        job = a_submitted_job(**changes)
        price = hold(customer_id=CUSTOMER_ID, job_id=job.id, amount=job.quote.credits, at=NOW)
        self.transitions.submit(job, hold=price, admission=an_admission(self.limits, job), record=None)
        return job


class MemoryStores(Stores):
    def __init__(self) -> None:
        world = World()
        self.clock = FixedClock()
        self.jobs = MemoryJobStore(world)
        self.units = MemoryUnitStore(world)
        self.artifacts = MemoryArtifactStore(world)
        self.ledger = MemoryLedgerStore(world)
        self.uploads = MemoryUploadStore(world)
        self.idempotency = MemoryIdempotencyStore(world, self.clock)
        self.events = MemoryEventStore(world)
        self.limits = MemoryLimitStore(world, self.clock)
        self.webhooks = MemoryWebhookStore(world)
        self.transitions = MemoryTransitions(world, self.clock)


class DynamoStores(Stores):
    def __init__(self) -> None:
        client = boto3.client("dynamodb", region_name="us-east-1")
        create_tables(client)
        self.clock = FixedClock()
        self.jobs = DynamoJobStore(client, "jobs")
        self.units = DynamoUnitStore(client, "units", gates_table="gates")
        self.artifacts = DynamoArtifactStore(client, "artifacts")
        self.ledger = DynamoLedgerStore(client, "ledger")
        self.uploads = DynamoUploadStore(client, "uploads")
        self.idempotency = DynamoIdempotencyStore(client, "idempotency", self.clock)
        self.events = DynamoEventStore(client, "events")
        self.limits = DynamoLimitStore(client, "limits", self.clock)
        self.webhooks = DynamoWebhookStore(client, webhooks_table="webhooks", deliveries_table="deliveries")
        self.transitions = DynamoTransitions(client, TABLES)


@contextmanager
def opened(kind: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    """The stores named ``memory`` or ``dynamo``, empty."""
    if kind == "memory":
        yield MemoryStores()
        return
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield DynamoStores()


def a_submitted_job(**changes: Any) -> Job:
    """A job as submit writes it, over the uploads that ``Stores.submitted`` makes."""

    def source(upload_id: str) -> Source:
        return Source(upload_id, "name", "application/zip", f"customers/{upload_id}", "ab" * 32, 10)

    fresh = {"status": JobStatus.QUEUED, "units_total": 0, "dataset": source("dataset-1"), "package": source("package-1")}
    return a_job(**(fresh | changes))
