"""Webhooks and their deliveries."""

from typing import Literal

from pydantic import AwareDatetime, Field

from functions.customer_api.shapes.base import Answers, Count, Listing, Shape
from gpupool.events.model import EventType
from gpupool.webhooks.model import DeliveryStatus


class Webhook(Shape):
    id: str
    url: str
    events: list[EventType]
    description: str
    status: Literal["enabled", "disabled"]
    disabled_reason: str | None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    previous_secret_expires_at: AwareDatetime | None = Field(description="until then the secret before signs too")


class WebhookWithSecret(Webhook):
    secret: str = Field(description="whsec_ and base64, shown once")


class DeliveryAttempt(Shape):
    number: Count = Field(description="within its round")
    at: AwareDatetime
    duration_ms: Count
    status_code: int | None
    error: str | None = Field(description="why there was no answer that counts")


class DeliveryError(Shape):
    code: str
    message: str


class Delivery(Shape):
    id: str = Field(description="webhook-id of every attempt")
    webhook_id: str
    event_id: str
    event_type: EventType
    sequence: Count = Field(description="counts this webhook's deliveries without gaps")
    status: DeliveryStatus
    round: Count = Field(description="runs of the retry schedule; a replay begins the next one")
    attempts: list[DeliveryAttempt]
    created_at: AwareDatetime
    next_attempt_at: AwareDatetime | None
    delivered_at: AwareDatetime | None
    error: DeliveryError | None


class WholeDelivery(Delivery):
    body: str = Field(description="the text that is signed and sent")


class AcceptedDelivery(Delivery):
    delivery_id: str


class Webhooks(Listing[Webhook]):
    pass


class Deliveries(Listing[Delivery]):
    pass


ANSWERS: Answers = {
    "createWebhook": (201, WebhookWithSecret),
    "listWebhooks": (200, Webhooks),
    "getWebhook": (200, Webhook),
    "updateWebhook": (200, Webhook),
    "deleteWebhook": (204, None),
    "rotateWebhookSecret": (200, WebhookWithSecret),
    "testWebhook": (202, AcceptedDelivery),
    "listDeliveries": (200, Deliveries),
    "getDelivery": (200, WholeDelivery),
    "replayDelivery": (202, AcceptedDelivery),
}
