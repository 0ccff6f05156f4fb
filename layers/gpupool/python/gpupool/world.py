"""The in-memory twin of all tables: one world, one lock, so that a transition over several rooms is atomic here too."""

from dataclasses import dataclass, field
from threading import RLock
from typing import Any

from gpupool.events.model import Event
from gpupool.jobs.model import Job
from gpupool.ledger.model import Balance, Transfer
from gpupool.limits.model import Quota
from gpupool.units.model import Unit
from gpupool.uploads.model import Upload
from gpupool.webhooks.model import Delivery, Endpoint


@dataclass
class World:
    """Rows by key. Stores of one process share one world; models are immutable, so rows can be handed out as they are."""

    lock: RLock = field(default_factory=RLock)
    customers: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, Any] = field(default_factory=dict)
    uploads: dict[tuple[str, str], Upload] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    # Ended jobs whose end was checked.
    unwatched: set[str] = field(default_factory=set)
    units: dict[str, dict[str, Unit]] = field(default_factory=dict)
    gates: dict[tuple[str, int], frozenset[int]] = field(default_factory=dict)
    events: dict[str, dict[str, Event]] = field(default_factory=dict)
    balances: dict[str, Balance] = field(default_factory=dict)
    transfers: dict[str, dict[str, Transfer]] = field(default_factory=dict)
    nodes: dict[str, Any] = field(default_factory=dict)
    idempotency: dict[str, Any] = field(default_factory=dict)
    buckets: dict[str, int] = field(default_factory=dict)
    quotas: dict[str, Quota] = field(default_factory=dict)
    webhooks: dict[str, dict[str, Endpoint]] = field(default_factory=dict)
    deliveries: dict[str, dict[str, Delivery]] = field(default_factory=dict)
