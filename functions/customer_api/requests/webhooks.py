"""Webhooks: where to tell what."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from functions.customer_api.requests.base import Request
from gpupool.events.model import SUBSCRIBABLE, EventType
from gpupool.webhooks.addresses import MAX_URL


def _told_to_webhooks(kind: EventType) -> EventType:
    if kind not in SUBSCRIBABLE:
        raise ValueError(f"webhooks are told of {', '.join(sorted(SUBSCRIBABLE))}")
    return kind


_WORDS: dict[str, Any] = {"type": "string", "enum": sorted(SUBSCRIBABLE)}
Subscription = Annotated[EventType, AfterValidator(_told_to_webhooks), WithJsonSchema(_WORDS)]
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
