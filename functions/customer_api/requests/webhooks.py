"""Webhooks: where to tell what."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from functions.customer_api.requests.base import Request
from gpupool.events.model import SUBSCRIBABLE, EventType
from gpupool.webhooks.addresses import MAX_URL

Subscription = Literal[
    EventType.JOB_STARTED,
    EventType.JOB_COMPLETED,
    EventType.JOB_FAILED,
    EventType.JOB_CANCELLED,
    EventType.UNIT_COMPLETED,
    EventType.UNIT_FAILED,
    EventType.ARTIFACT_READY,
    EventType.CREDITS_LOW,
]
Url = Annotated[str, Field(min_length=1, max_length=MAX_URL, description="public HTTPS")]
Events = Annotated[list[Subscription], Field(min_length=1, max_length=2 * len(SUBSCRIBABLE))]
Description = Annotated[str, Field(max_length=500)]


class CreateWebhookRequest(Request):
    url: Url
    events: Events
    description: Description = ""


class UpdateWebhookRequest(Request):
    """What is left out stays as it is."""

    url: Url | None = None
    events: Events | None = None
    description: Description | None = None
    enabled: bool | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> "UpdateWebhookRequest":
        if all(value is None for value in (self.url, self.events, self.description, self.enabled)):
            raise ValueError("name at least one of url, events, description and enabled")
        return self
