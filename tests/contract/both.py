"""The platform's tables twice: in memory and in DynamoDB, behind the same ports. A difference between them is a bug."""

from collections.abc import Callable
from typing import Any

from gpupool.accounts.dynamo import DynamoAccountStore
from gpupool.accounts.memory import MemoryAccountStore
from gpupool.accounts.store import AccountStore
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
from gpupool.nodes.dynamo import DynamoNodeStore
from gpupool.nodes.memory import MemoryNodeStore
from gpupool.nodes.store import NodeStore
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

# Makes a client of the service that it is told.
Cloud = Callable[[str], Any]


class Stores:
    """One kind of every store, over the same tables."""

    clock: FixedClock
    jobs: JobStore
    units: UnitStore
    ledger: LedgerStore
    uploads: UploadStore
    idempotency: IdempotencyStore
    events: EventStore
    limits: LimitStore
    webhooks: WebhookStore
    accounts: AccountStore
    nodes: NodeStore
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
    def __init__(self, world: World | None = None, clock: FixedClock | None = None) -> None:
        self.world = world or World()
        self.clock = clock or FixedClock()
        self.jobs = MemoryJobStore(self.world)
        self.units = MemoryUnitStore(self.world)
        self.ledger = MemoryLedgerStore(self.world)
        self.uploads = MemoryUploadStore(self.world)
        self.idempotency = MemoryIdempotencyStore(self.world, self.clock)
        self.events = MemoryEventStore(self.world)
        self.limits = MemoryLimitStore(self.world, self.clock)
        self.webhooks = MemoryWebhookStore(self.world)
        self.accounts = MemoryAccountStore(self.world)
        self.nodes = MemoryNodeStore(self.world)
        self.transitions = MemoryTransitions(self.world, self.clock)


class DynamoStores(Stores):
    """Over tables that are there; ``prefix`` begins the name of each."""

    def __init__(self, client: Any, *, prefix: str = "", clock: FixedClock | None = None) -> None:
        self.client = client
        self.prefix = prefix
        self.clock = clock or FixedClock()
        self.jobs = DynamoJobStore(client, f"{prefix}jobs", progress_table=f"{prefix}progress")
        self.units = DynamoUnitStore(client, f"{prefix}units", gates_table=f"{prefix}gates")
        self.ledger = DynamoLedgerStore(client, f"{prefix}ledger")
        self.uploads = DynamoUploadStore(client, f"{prefix}uploads")
        self.idempotency = DynamoIdempotencyStore(client, f"{prefix}idempotency", self.clock)
        self.events = DynamoEventStore(client, f"{prefix}events")
        self.limits = DynamoLimitStore(client, f"{prefix}limits", self.clock)
        self.webhooks = DynamoWebhookStore(client, webhooks_table=f"{prefix}webhooks", deliveries_table=f"{prefix}deliveries")
        self.accounts = DynamoAccountStore(client, customers_table=f"{prefix}customers", keys_table=f"{prefix}keys")
        self.nodes = DynamoNodeStore(client, f"{prefix}nodes")
        self.transitions = DynamoTransitions(client, Tables(**{name: prefix + name for name in Tables.__annotations__}))


def a_submitted_job(**changes: Any) -> Job:
    """A job as submit writes it, over the uploads that ``Stores.submitted`` makes."""

    def source(upload_id: str) -> Source:
        return Source(upload_id, "name", "application/zip", f"customers/{upload_id}", "ab" * 32, 10)

    fresh = {"status": JobStatus.QUEUED, "units_total": 0, "dataset": source("dataset-1"), "package": source("package-1")}
    return a_job(**(fresh | changes))
