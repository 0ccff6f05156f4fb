"""Webhooks in memory."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from gpupool.clock import Clock
from gpupool.errors import AlreadyExists, StaleWrite
from gpupool.pages import Key, Page
from gpupool.webhooks.model import Delivery, DeliveryStatus, Endpoint
from gpupool.webhooks.queue import AttemptRef
from gpupool.webhooks.sender import Outcome
from gpupool.world import World


class MemoryWebhookStore:
    def __init__(self, world: World) -> None:
        self._world = world

    def add_endpoint(self, endpoint: Endpoint) -> None:
        with self._world.lock:
            if endpoint.id in self._of(endpoint.customer_id):
                raise AlreadyExists
            self._world.webhooks.setdefault(endpoint.customer_id, {})[endpoint.id] = endpoint

    def endpoint(self, customer_id: str, endpoint_id: str) -> Endpoint | None:
        return self._of(customer_id).get(endpoint_id)

    def endpoints(self, customer_id: str, *, limit: int, key: Key | None) -> Page[Endpoint]:
        with self._world.lock:
            rows = sorted(self._of(customer_id).values(), key=lambda each: each.id, reverse=True)
        rows = [row for row in rows if key is None or row.id < key["id"]]
        next_key = {"id": rows[limit - 1].id} if len(rows) > limit else None
        return Page(tuple(rows[:limit]), next_key)

    def replace_endpoint(self, before: Endpoint, after: Endpoint) -> Endpoint:
        with self._world.lock:
            current = self.endpoint(before.customer_id, before.id)
            if current is None or current.updated_at != before.updated_at:
                raise StaleWrite
            return self._write(replace(after, last_sequence=current.last_sequence))

    def remove_endpoint(self, endpoint: Endpoint) -> None:
        with self._world.lock:
            self._of(endpoint.customer_id).pop(endpoint.id, None)

    def enqueue(self, delivery: Delivery) -> None:
        with self._world.lock:
            if self.delivery(delivery.endpoint_id, delivery.id) is not None:
                raise AlreadyExists
            endpoint = self.endpoint(delivery.customer_id, delivery.endpoint_id)
            if endpoint is None or endpoint.last_sequence != delivery.sequence - 1:
                raise StaleWrite
            self._write(replace(endpoint, last_sequence=delivery.sequence))
            self._world.deliveries.setdefault(delivery.endpoint_id, {})[delivery.id] = delivery

    def delivery(self, endpoint_id: str, delivery_id: str) -> Delivery | None:
        return self._world.deliveries.get(endpoint_id, {}).get(delivery_id)

    def deliveries(self, endpoint_id: str, *, limit: int, key: Key | None) -> Page[Delivery]:
        with self._world.lock:
            rows = sorted(self._world.deliveries.get(endpoint_id, {}).values(), key=lambda each: -each.sequence)
        rows = [row for row in rows if key is None or row.sequence < int(key["sequence"])]
        next_key = {"sequence": str(rows[limit - 1].sequence)} if len(rows) > limit else None
        return Page(tuple(rows[:limit]), next_key)

    def replace_delivery(self, delivery: Delivery) -> Delivery:
        with self._world.lock:
            current = self.delivery(delivery.endpoint_id, delivery.id)
            if current is None or current.version != delivery.version:
                raise StaleWrite
            written = replace(delivery, version=delivery.version + 1)
            self._world.deliveries[delivery.endpoint_id][delivery.id] = written
            return written

    def due(self, *, within_seconds: int, now: datetime, limit: int) -> tuple[Delivery, ...]:
        until = now + timedelta(seconds=within_seconds)
        with self._world.lock:
            waiting = [
                (each.due_at, each.id, each)
                for shelf in self._world.deliveries.values()
                for each in shelf.values()
                if each.status is DeliveryStatus.PENDING and each.due_at is not None and each.due_at <= until
            ]
        return tuple(each for _, _, each in sorted(waiting, key=lambda found: found[:2])[:limit])

    def _of(self, customer_id: str) -> dict[str, Endpoint]:
        return self._world.webhooks.get(customer_id, {})

    def _write(self, endpoint: Endpoint) -> Endpoint:
        self._world.webhooks[endpoint.customer_id][endpoint.id] = endpoint
        return endpoint


@dataclass
class MemoryDeliveryQueue:
    """Messages with the moment from which they are seen."""

    clock: Clock
    messages: deque[tuple[datetime, AttemptRef]] = field(default_factory=deque)

    def ring(self, ref: AttemptRef, *, delay_seconds: int = 0) -> None:
        self.messages.append((self.clock.now() + timedelta(seconds=delay_seconds), ref))

    def take(self) -> AttemptRef | None:
        """The message that has been visible for longest, which is then gone; None when none is."""
        seen = [message for message in self.messages if message[0] <= self.clock.now()]
        if not seen:
            return None
        message = min(seen, key=lambda each: each[0])
        self.messages.remove(message)
        return message[1]


@dataclass(frozen=True, slots=True)
class Sent:
    """One request as the receiver saw it."""

    url: str
    headers: dict[str, str]
    body: str


@dataclass
class MemorySender:
    """Receivers in memory: ``answer`` says what each request comes to, ``sent`` keeps them all."""

    answer: Callable[[Sent], Outcome] = lambda _sent: Outcome(1, status_code=200)
    sent: list[Sent] = field(default_factory=list)

    def send(self, url: str, headers: dict[str, str], body: str) -> Outcome:
        request = Sent(url, headers, body)
        self.sent.append(request)
        return self.answer(request)
