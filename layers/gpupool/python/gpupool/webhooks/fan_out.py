"""One event becomes a delivery to every endpoint that asked for it. Doing it twice is doing it once."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from gpupool.clock import Clock
from gpupool.errors import AlreadyExists, StaleWrite
from gpupool.events.model import SUBSCRIBABLE, Event
from gpupool.pages import Key
from gpupool.webhooks.model import Delivery, Endpoint
from gpupool.webhooks.queue import DeliveryQueue, ref_of
from gpupool.webhooks.store import WebhookStore

MAX_ENDPOINTS = 20


class FanOut:
    def __init__(self, *, store: WebhookStore, queue: DeliveryQueue, clock: Clock) -> None:
        self._store = store
        self._queue = queue
        self._clock = clock

    def publish(self, event: Event) -> None:
        """Enqueues and rings for each endpoint that wants the event; what nobody can ask for costs nothing."""
        self.batch().publish(event)

    def batch(self) -> "Batch":
        """For events all of which have happened by now."""
        return Batch(self)

    def enqueue(self, endpoint: Endpoint, event: Event) -> Delivery | None:
        """The event's delivery to this endpoint, with a message for its first attempt; None when the endpoint is gone.

        The message goes out even if the delivery was there: whoever wrote it may have died before sending it.
        """
        current: Endpoint | None = endpoint
        while current is not None:
            delivery = delivery_of(event, current, now=self._clock.now())
            try:
                self._store.enqueue(delivery)
            except AlreadyExists:
                delivery = self._store.delivery(endpoint.id, delivery.id) or delivery
            except StaleWrite:
                current = self._store.endpoint(endpoint.customer_id, endpoint.id)
                continue
            if delivery.due_at is not None:
                self._queue.ring(ref_of(delivery))
            return delivery
        return None

    def endpoints(self, customer_id: str) -> Iterator[Endpoint]:
        """All of a customer's, in one query as a rule: only creations that met may have passed the limit together."""
        key: Key | None = None
        while True:
            page = self._store.endpoints(customer_id, limit=MAX_ENDPOINTS, key=key)
            yield from page.items
            key = page.next_key
            if key is None:
                return


class Batch:
    """Events that had happened before it began. An endpoint that is made later is owed none of them, so that of a customer who
    was found without any it is known for the whole batch."""

    def __init__(self, fan_out: FanOut) -> None:
        self._fan_out = fan_out
        self._without: set[str] = set()

    def publish(self, event: Event) -> None:
        """As that of the fan-out."""
        if event.type not in SUBSCRIBABLE or event.customer_id in self._without:
            return
        endpoints = tuple(self._fan_out.endpoints(event.customer_id))
        if not endpoints:
            self._without.add(event.customer_id)
        for endpoint in endpoints:
            if endpoint.disabled_at is None and event.type in endpoint.events:
                self._fan_out.enqueue(endpoint, event)


def delivery_of(event: Event, endpoint: Endpoint, *, now: datetime) -> Delivery:
    """The next delivery to the endpoint. Its id is that of event and endpoint, whatever its place in the sequence."""
    named = hashlib.sha256(f"{endpoint.id}\0{event.id}".encode()).hexdigest()
    sequence = endpoint.last_sequence + 1
    return Delivery(
        id=f"msg_{named[:32]}",
        endpoint_id=endpoint.id,
        customer_id=event.customer_id,
        event_id=event.id,
        event_type=event.type,
        sequence=sequence,
        body=body_of(event, sequence=sequence),
        created_at=now,
        due_at=now,
    )


def body_of(event: Event, *, sequence: int) -> str:
    """The text that is signed and sent."""
    content: dict[str, Any] = {
        "type": event.type,
        "id": event.id,
        "timestamp": event.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "sequence": sequence,
        "data": {"job_id": event.job_id or None, **event.data},
    }
    return json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
