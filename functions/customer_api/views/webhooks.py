"""How webhooks and their deliveries look to their owner. Secrets are shown by the two routes that make them."""

from functions.customer_api.answers import View, moment
from gpupool.webhooks.model import Attempt, Delivery, DeliveryStatus, Endpoint


def webhook(row: Endpoint) -> View:
    return {
        "id": row.id,
        "url": row.url,
        "events": sorted(row.events),
        "description": row.description,
        "status": "enabled" if row.disabled_at is None else "disabled",
        "disabled_reason": row.disabled_reason,
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
        "previous_secret_expires_at": moment(row.previous_secret_expires_at),
    }


def with_secret(row: Endpoint) -> View:
    return {**webhook(row), "secret": row.secret}


def delivery(row: Delivery) -> View:
    failed = row.status is DeliveryStatus.FAILED
    return {
        "id": row.id,
        "webhook_id": row.endpoint_id,
        "event_id": row.event_id,
        "event_type": row.event_type,
        "sequence": row.sequence,
        "status": row.status,
        "round": row.round,
        "attempts": [_attempt(each) for each in row.attempts],
        "created_at": moment(row.created_at),
        "next_attempt_at": moment(row.due_at),
        "delivered_at": moment(row.delivered_at),
        "error": {"code": "WEBHOOK_DELIVERY_FAILED", "message": row.reason or ""} if failed else None,
    }


def whole_delivery(row: Delivery) -> View:
    return {**delivery(row), "body": row.body}


def accepted_delivery(row: Delivery) -> View:
    return {**delivery(row), "delivery_id": row.id}


def _attempt(row: Attempt) -> View:
    return {
        "number": row.number,
        "at": moment(row.at),
        "duration_ms": row.duration_ms,
        "status_code": row.status_code,
        "error": row.error,
    }
