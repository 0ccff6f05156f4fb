"""Events. One row of a job or a unit, before and after a write, always makes the same events with the same ids."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

# Fewer available credits than this after a submit are told, once a day.
LOW_CREDITS = 100


class EventType(StrEnum):
    """Everything that a timeline may tell. ``SUBSCRIBABLE`` are the ones that webhooks may ask for."""

    JOB_CREATED = "job.created"
    JOB_STARTED = "job.started"
    JOB_CANCEL_REQUESTED = "job.cancel_requested"
    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    UNIT_QUEUED = "unit.queued"
    UNIT_STARTED = "unit.started"
    UNIT_RETRIED = "unit.retried"
    UNIT_COMPLETED = "unit.completed"
    UNIT_FAILED = "unit.failed"
    UNIT_CANCELLED = "unit.cancelled"
    ARTIFACT_READY = "artifact.ready"
    CREDITS_LOW = "credits.low"
    # Sent on request to one endpoint; in no timeline.
    WEBHOOK_TEST = "webhook.test"


SUBSCRIBABLE = frozenset(
    {
        EventType.JOB_STARTED,
        EventType.JOB_COMPLETED,
        EventType.JOB_FAILED,
        EventType.JOB_CANCELLED,
        EventType.UNIT_COMPLETED,
        EventType.UNIT_FAILED,
        EventType.ARTIFACT_READY,
        EventType.CREDITS_LOW,
    }
)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. ``id`` is derived from the row and its version, so that telling it twice is telling it once.

    ``data`` is plain JSON and small: ids, states and causes; whoever wants the whole thing asks the API for it.
    """

    id: str
    customer_id: str
    job_id: str
    type: EventType
    at: datetime
    data: dict[str, Any] = field(default_factory=dict)


def event_key(event: Event) -> str:
    """Its text order is the order of a job's events in time; the id tells those of one moment apart."""
    return f"{event.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}#{event.id}"
