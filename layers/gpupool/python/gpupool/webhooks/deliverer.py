"""Making attempts. The row is claimed before a request and written after it, so of two messages for one attempt one acts."""

import logging
import math
from collections.abc import Callable
from datetime import datetime

from gpupool.clock import Clock
from gpupool.errors import StaleWrite
from gpupool.webhooks import decide
from gpupool.webhooks.model import Delivery, DeliveryStatus, Endpoint
from gpupool.webhooks.queue import MAX_DELAY_SECONDS, AttemptRef, DeliveryQueue, ref_of
from gpupool.webhooks.sender import Outcome, Sender
from gpupool.webhooks.signature import signed_headers
from gpupool.webhooks.store import WebhookStore

logger = logging.getLogger(__name__)

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
        endpoint = self._store.endpoint(delivery.customer_id, delivery.endpoint_id)
        reason = decide.hopeless(delivery, endpoint)
        try:
            mine = self._store.replace_delivery(
                decide.failed(delivery, reason) if reason else decide.claimed(delivery, now=now)
            )
        except StaleWrite:
            return
        if endpoint is None or reason:
            _tell(mine)
        else:
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
        _tell(verdict.delivery, outcome)
        written = self._store.replace_delivery(verdict.delivery)
        if written.due_at is not None:
            self._ring_when_due(written, now=now)

    def _ring_when_due(self, delivery: Delivery, *, now: datetime) -> None:
        """Rings in time where the queue can wait that long; the sweep does it otherwise."""
        wait = math.ceil(((delivery.due_at or now) - now).total_seconds())
        if wait <= MAX_DELAY_SECONDS:
            self._queue.ring(ref_of(delivery), delay_seconds=max(0, wait))

    def _disable(self, endpoint: Endpoint, *, now: datetime) -> None:
        """Unless the owner has named another URL meanwhile, for which the answer says nothing."""
        current: Endpoint | None = endpoint
        while current is not None and current.disabled_at is None and current.url == endpoint.url:
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


def _tell(delivery: Delivery, outcome: Outcome | None = None) -> None:
    """A line per request, and one for a delivery that failed for good. URLs may hold secrets and stay out of logs."""
    about = {
        "delivery_id": delivery.id,
        "endpoint_id": delivery.endpoint_id,
        "customer_id": delivery.customer_id,
        "attempt": delivery.attempts_made,
    }
    if outcome is not None:
        about |= {"status_code": outcome.status_code, "error": outcome.error, "duration_ms": outcome.duration_ms}
        logger.info("webhook_attempted", extra=about)
    if delivery.status is DeliveryStatus.FAILED:
        logger.warning("webhook_failed", extra=about | {"code": "WEBHOOK_DELIVERY_FAILED", "reason": delivery.reason})
