"""Where endpoints and deliveries are kept. Reads by key are consistent."""

from datetime import datetime
from typing import Protocol

from gpupool.pages import Key, Page
from gpupool.webhooks.model import Delivery, Endpoint


class WebhookStore(Protocol):
    def add_endpoint(self, endpoint: Endpoint) -> None:
        """AlreadyExists when the id is taken."""

    def endpoint(self, customer_id: str, endpoint_id: str) -> Endpoint | None: ...

    def endpoints(self, customer_id: str, *, limit: int, key: Key | None) -> Page[Endpoint]:
        """A customer's endpoints, newest first."""

    def replace_endpoint(self, before: Endpoint, after: Endpoint) -> Endpoint:
        """Writes ``after``; StaleWrite when the row is gone or its ``updated_at`` is not ``before``'s any more.

        Leaves ``last_sequence`` to ``enqueue``.
        """

    def remove_endpoint(self, endpoint: Endpoint) -> None:
        """Removing one that is gone is no error. Its deliveries stay readable until they expire, and are not attempted."""

    def enqueue(self, delivery: Delivery) -> None:
        """Writes a new delivery and counts it on its endpoint, at once; ``delivery.sequence`` must be the endpoint's next.

        AlreadyExists when the delivery is there; StaleWrite when another took the sequence number or the endpoint is gone.
        """

    def delivery(self, endpoint_id: str, delivery_id: str) -> Delivery | None: ...

    def deliveries(self, endpoint_id: str, *, limit: int, key: Key | None) -> Page[Delivery]:
        """An endpoint's deliveries, newest first."""

    def replace_delivery(self, delivery: Delivery) -> Delivery:
        """Writes ``delivery`` over the version it was made from and returns it with the next one; StaleWrite otherwise."""

    def due(self, *, within_seconds: int, now: datetime, limit: int) -> tuple[Delivery, ...]:
        """Pending deliveries whose attempt is due within so many seconds, the most overdue first; may lag by moments."""
