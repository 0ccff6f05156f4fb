"""The in-memory set of adapters: the whole platform in one process, for tests, the simulation and measurements."""

import secrets
from collections.abc import Callable

from gpupool.accounts.memory import MemoryAccountStore
from gpupool.clock import Clock
from gpupool.dispatch.memory import MemoryQueue
from gpupool.dispatch.model import QueueUrls
from gpupool.events.memory import MemoryEventStore
from gpupool.idempotency.memory import MemoryIdempotencyStore
from gpupool.ids import new_id
from gpupool.jobs.memory import MemoryJobStore
from gpupool.ledger.memory import MemoryLedgerStore
from gpupool.limits.memory import MemoryLimitStore
from gpupool.nodes.memory import MemoryIssuer, MemoryNodeStore
from gpupool.objects.memory import MemoryObjectStore
from gpupool.settings import Settings
from gpupool.transitions.memory import MemoryTransitions
from gpupool.units.memory import MemoryUnitStore
from gpupool.units.model import Pool
from gpupool.uploads.memory import MemoryUploadStore
from gpupool.webhooks.memory import MemoryDeliveryQueue, MemorySender, MemoryWebhookStore
from gpupool.wire.vocabulary import CapabilityClass
from gpupool.workflow.memory import MemoryExecutions
from gpupool.world import World


class PlainHasher:
    """No hash at all: a real one takes 50 ms on purpose, which nothing in memory needs."""

    def hash(self, password: str) -> str:
        return f"plain:{password}"

    def verify(self, password_hash: str, password: str) -> bool:
        return password_hash == f"plain:{password}"


class MemoryPorts:
    """One world; ``clock`` decides when leases lapse and URLs expire."""

    def __init__(self, *, clock: Clock, world: World | None = None, settings: Settings | None = None) -> None:
        self.world = world or World()
        self.clock = clock
        self.region = "local"
        urls = {f"{pool}-{capability}": f"memory://{pool}-{capability}" for pool in Pool for capability in CapabilityClass}
        self.settings = settings or Settings(queue_urls=urls)
        self.queue_urls = QueueUrls(self.settings.queue_urls)
        self.accounts = MemoryAccountStore(self.world)
        self.passwords = PlainHasher()
        self.uploads = MemoryUploadStore(self.world)
        self.jobs = MemoryJobStore(self.world)
        self.units = MemoryUnitStore(self.world)
        self.ledger = MemoryLedgerStore(self.world)
        self.limits = MemoryLimitStore(self.world, clock)
        self.nodes = MemoryNodeStore(self.world)
        self.idempotency = MemoryIdempotencyStore(self.world, clock)
        self.events = MemoryEventStore(self.world)
        self.transitions = MemoryTransitions(self.world, clock)
        self.objects = MemoryObjectStore()
        self.queue = MemoryQueue(urls=self.queue_urls, clock=clock)
        self.webhooks = MemoryWebhookStore(self.world)
        self.webhook_queue = MemoryDeliveryQueue(clock)
        self.sender = MemorySender()
        self.jitter: Callable[[], float] = lambda: 0.0
        self.executions = MemoryExecutions()
        self.issuer = MemoryIssuer(clock)
        self.signing_secret: Callable[[], bytes] = lambda: b"a secret for one process"
        self.random_hex: Callable[[int], str] = secrets.token_hex
        self.new_id: Callable[[], str] = new_id
