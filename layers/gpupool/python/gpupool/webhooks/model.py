"""Endpoints, and deliveries to them.

A delivery is one event for one endpoint. Its row is the truth: queue messages are hints, and a sweep finds what they lost.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gpupool.events.model import EventType


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one customer wants to be told about ``events``. Secrets are ``whsec_`` and base64, as in Standard Webhooks."""

    id: str
    customer_id: str
    url: str
    events: frozenset[EventType]
    description: str
    secret: str = field(repr=False)
    created_at: datetime
    updated_at: datetime
    previous_secret: str | None = field(default=None, repr=False)
    # Until then the previous secret signs too.
    previous_secret_expires_at: datetime | None = None
    # Names the request that rotated last, so that its repeat does not rotate again.
    rotation_id: str | None = None
    disabled_at: datetime | None = None
    disabled_reason: str | None = None
    # The sequence number of the delivery that was made last; 0 before the first.
    last_sequence: int = 0

    def secrets_at(self, now: datetime) -> tuple[str, ...]:
        """What signs a message now, the current secret first."""
        expires = self.previous_secret_expires_at
        if self.previous_secret is None or expires is None or expires <= now:
            return (self.secret,)
        return self.secret, self.previous_secret


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    # Every attempt of the schedule failed, or the endpoint answered 410: WEBHOOK_DELIVERY_FAILED.
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to the endpoint; ``status_code`` is None when there was no answer, ``error`` says why in one word."""

    number: int
    at: datetime
    duration_ms: int
    status_code: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """``id`` is what the receiver sees as ``webhook-id``: the same in every attempt and replay, so it can tell repeats.

    ``body`` is the exact JSON text that is signed and sent. ``sequence`` counts the endpoint's deliveries from 1 without gaps.
    ``round`` counts runs of the retry schedule: a replay starts the next one.
    """

    id: str
    endpoint_id: str
    customer_id: str
    event_id: str
    event_type: EventType
    sequence: int
    body: str
    created_at: datetime
    status: DeliveryStatus = DeliveryStatus.PENDING
    # When the next attempt is due; None once the delivery is over.
    due_at: datetime | None = None
    round: int = 1
    # Attempts of the current round so far; the log below keeps the latest of all rounds.
    attempts_made: int = 0
    attempts: tuple[Attempt, ...] = ()
    delivered_at: datetime | None = None
    # Why it failed for good, in a sentence.
    reason: str | None = None
    version: int = 1
