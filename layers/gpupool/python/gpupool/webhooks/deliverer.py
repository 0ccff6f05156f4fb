"""Making attempts. The row is claimed before a request and written after it, so of two messages for one attempt one acts."""

import math
from collections.abc import Callable
from datetime import datetime

from gpupool.clock import Clock
from gpupool.errors import StaleWrite
from gpupool.webhooks import decide
from gpupool.webhooks.model import Delivery, DeliveryStatus, Endpoint
from gpupool.webhooks.queue import MAX_DELAY_SECONDS, AttemptRef, DeliveryQueue, ref_of
from gpupool.webhooks.sender import Sender
from gpupool.webhooks.signature import signed_headers
from gpupool.webhooks.store import WebhookStore

USER_AGENT = "GPU-Agent-Webhooks/1"


class Deliverer:
    """``jitter()`` is a random number from 0 to 1."""

    def __init__(
        self, *, store: WebhookStore, queue: DeliveryQueue, sender: Sender, jitter: Callable[[], float], clock: Clock
    ) -> None:
        self._store = store
        self._queue = queue
        self._sender = sender
        self._jitter = jitter
        self._clock = clock

    def deliver(self, ref: AttemptRef) -> None:
        """Makes the attempt that ``ref`` names, unless it was made, is being made, or is not due yet."""
        delivery = self._store.delivery(ref.endpoint_id, ref.delivery_id)
        if (
            delivery is None
            or delivery.status is not DeliveryStatus.PENDING
            or delivery.due_at is None
            or ref_of(delivery) != ref
        ):
            return
        now = self._clock.now()
        if delivery.due_at > now:
            self._ring_when_due(delivery, now=now)
            return
        try:
            mine = self._store.replace_delivery(decide.claimed(delivery, now=now))
        except StaleWrite:
            return
        endpoint = self._store.endpoint(mine.customer_id, mine.endpoint_id)
        if endpoint is None or endpoint.disabled_at is not None:
            self._store.replace_delivery(decide.failed(mine, decide.REMOVED if endpoint is None else decide.DISABLED))
            return
        self._attempt(endpoint, mine)

    def _attempt(self, endpoint: Endpoint, delivery: Delivery) -> None:
        at = self._clock.now()
        signed = signed_headers(endpoint.secrets_at(at), message_id=delivery.id, at=at, body=delivery.body)
        headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT, **signed}
        outcome = self._sender.send(endpoint.url, headers, delivery.body)
        now = self._clock.now()
        verdict = decide.after_attempt(delivery, outcome, now=now, jitter=self._jitter())
        if verdict.disable:
            self._disable(endpoint, now=now)
        written = self._store.replace_delivery(verdict.delivery)
        if written.due_at is not None:
            self._ring_when_due(written, now=now)

    def _ring_when_due(self, delivery: Delivery, *, now: datetime) -> None:
        """Rings in time where the queue can wait that long; the sweep does it otherwise."""
        wait = math.ceil(((delivery.due_at or now) - now).total_seconds())
        if wait <= MAX_DELAY_SECONDS:
            self._queue.ring(ref_of(delivery), delay_seconds=max(0, wait))

    def _disable(self, endpoint: Endpoint, *, now: datetime) -> None:
        current: Endpoint | None = endpoint
        while current is not None and current.disabled_at is None:
            try:
                self._store.replace_endpoint(current, decide.disabled(current, decide.GONE, now=now))
            except StaleWrite:
                current = self._store.endpoint(endpoint.customer_id, endpoint.id)
            else:
                return


class Sweep:
    """Finds attempts that are due soon, and those whose message was lost."""

    def __init__(self, *, store: WebhookStore, queue: DeliveryQueue, clock: Clock) -> None:
        self._store = store
        self._queue = queue
        self._clock = clock

    def run(self, *, horizon_seconds: int, limit: int) -> int:
        """Rings for everything that is due within the horizon, the most overdue first; how many that was.

        An attempt that has a message already gets a second one, which finds it made.
        """
        now = self._clock.now()
        found = self._store.due(within_seconds=horizon_seconds, now=now, limit=limit)
        for delivery in found:
            wait = math.ceil(((delivery.due_at or now) - now).total_seconds())
            self._queue.ring(ref_of(delivery), delay_seconds=min(MAX_DELAY_SECONDS, max(0, wait)))
        return len(found)
