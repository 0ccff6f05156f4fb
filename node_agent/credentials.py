"""Short-lived keys for this node's queues: fetched when first needed, renewed well before they expire."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from gpupool.wire.joining import CredentialsResponse, QueueGrant
from node_agent.agent_log import log_event

logger = logging.getLogger(__name__)

_SHARE_OF_LIFE = 0.75  # renewed when this much of it is over
_SHORTEST_LIFE = 30.0  # seconds; a wrong clock must not turn into a call per poll


@dataclass(frozen=True)
class Access:
    """One answer of the control plane. ``generation`` tells holders of things made from it that they are outdated."""

    grant: CredentialsResponse
    generation: int
    renew_at: float

    def queue_urls(self) -> frozenset[str]:
        return frozenset(queue.url for queue in self.grant.queues)


def renewal_time(*, received_at: float, lifetime_seconds: float) -> float:
    """When to renew, on the clock that ``received_at`` was read from."""
    return received_at + max(_SHORTEST_LIFE, lifetime_seconds * _SHARE_OF_LIFE)


class CredentialKeeper:
    """Shared by all pollers; whoever needs keys and finds them old fetches new ones while the others wait."""

    def __init__(
        self,
        fetch: Callable[[], CredentialsResponse],
        *,
        skew_seconds: Callable[[], float | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._fetch = fetch
        self._skew_seconds = skew_seconds
        self._clock = clock
        self._now = now
        self._lock = threading.Lock()
        self._access: Access | None = None
        self._refused_generation = -1
        self._on_queues_changed: Callable[[list[QueueGrant]], None] = lambda _queues: None

    def when_queues_change(self, react: Callable[[list[QueueGrant]], None]) -> None:
        """``react`` is called by the thread that noticed, outside the lock."""
        self._on_queues_changed = react

    def current(self) -> Access:
        """Keys that are good now. Raises what the fetch raises."""
        with self._lock:
            before = self._access
            if before is not None and not self._is_due(before):
                return before
            after = self._renew(before)
        if before is not None and before.queue_urls() != after.queue_urls():
            log_event(logger, "queues.changed", queues=len(after.grant.queues))
            self._on_queues_changed(after.grant.queues)
        return after

    def refuse(self, generation: int) -> None:
        """The queue service did not accept these keys: the next ``current`` fetches others."""
        with self._lock:
            self._refused_generation = max(self._refused_generation, generation)

    @property
    def lease_seconds(self) -> int:
        """Length of a lease, as last told. Only asked once keys were fetched."""
        access = self._access
        return access.grant.lease_seconds if access else 60

    def _is_due(self, access: Access) -> bool:
        return self._clock() >= access.renew_at or access.generation <= self._refused_generation

    def _renew(self, before: Access | None) -> Access:
        grant = self._fetch()
        # The control plane's clock decides about its own times; this host's may be wrong by hours.
        their_now = self._now().timestamp() - (self._skew_seconds() or 0.0)
        lifetime = grant.expires_at.timestamp() - their_now
        self._access = Access(
            grant=grant,
            generation=before.generation + 1 if before else 0,
            renew_at=renewal_time(received_at=self._clock(), lifetime_seconds=lifetime),
        )
        log_event(logger, "credentials.renewed", queues=len(grant.queues), lifetime_seconds=round(lifetime))
        return self._access
