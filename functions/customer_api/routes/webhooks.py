"""Webhooks, and the log of what was delivered to them."""

from typing import Annotated

from fastapi import APIRouter, Response

from functions.customer_api.answers import Json, listing, replay_headers
from functions.customer_api.deps import LIMIT, Caller, Cursor, IdempotencyKey, Limit, allowed, known_id
from functions.customer_api.requests.webhooks import CreateWebhookRequest, UpdateWebhookRequest
from functions.customer_api.routes import PREFIX
from functions.customer_api.views import webhooks as views
from gpupool.accounts.model import Scope

router = APIRouter(prefix=f"{PREFIX}/webhooks", tags=["webhooks"])
Owner = Annotated[Caller, allowed(Scope.WEBHOOK_WRITE)]


@router.post("", operation_id="createWebhook")
async def create(body: CreateWebhookRequest, caller: Owner, idempotency_key: IdempotencyKey = None) -> Json:
    """A new webhook. Its signing secret is in ``secret``, here and never again; no request is made to the URL yet."""
    made = caller.core.webhooks.create(
        caller.customer_id,
        url=body.url,
        events=frozenset(body.events),
        description=body.description,
        idempotency_key=idempotency_key,
    )
    return Json(views.with_secret(made.endpoint), status_code=201, headers=replay_headers(made.replayed))


@router.get("", operation_id="listWebhooks")
async def page(caller: Owner, limit: Limit = LIMIT, cursor: Cursor = None) -> Json:
    """The customer's webhooks, newest first, disabled ones too."""
    webhooks = caller.core.webhooks
    return listing(
        caller,
        lambda key: webhooks.page(caller.customer_id, limit=limit, key=key),
        views.webhook,
        name="webhooks",
        limit=limit,
        cursor=cursor,
    )


@router.get("/{webhook_id}", operation_id="getWebhook")
async def one(webhook_id: str, caller: Owner) -> Json:
    """One webhook, without its secret."""
    return Json(views.webhook(caller.core.webhooks.get(caller.customer_id, _known(webhook_id))))


@router.patch("/{webhook_id}", operation_id="updateWebhook")
async def update(webhook_id: str, body: UpdateWebhookRequest, caller: Owner) -> Json:
    """Changes what is named. Enabling a webhook that was disabled lets events reach it again."""
    from gpupool.webhooks.service import Wish

    wish = Wish(
        url=body.url,
        events=None if body.events is None else frozenset(body.events),
        description=body.description,
        enabled=body.enabled,
    )
    return Json(views.webhook(caller.core.webhooks.update(caller.customer_id, _known(webhook_id), wish)))


@router.delete("/{webhook_id}", operation_id="deleteWebhook")
async def delete(webhook_id: str, caller: Owner) -> Response:
    """Ends the webhook; what is under way to it is given up."""
    caller.core.webhooks.delete(caller.customer_id, _known(webhook_id))
    return Response(status_code=204)


@router.post("/{webhook_id}/rotate-secret", operation_id="rotateWebhookSecret")
async def rotate(webhook_id: str, caller: Owner, idempotency_key: IdempotencyKey = None) -> Json:
    """A new secret, shown once. The one before signs along until ``previous_secret_expires_at``."""
    made = caller.core.webhooks.rotate(caller.customer_id, _known(webhook_id), idempotency_key=idempotency_key)
    return Json(views.with_secret(made.endpoint), headers=replay_headers(made.replayed))


@router.post("/{webhook_id}/test", operation_id="testWebhook")
async def send_test(webhook_id: str, caller: Owner, idempotency_key: IdempotencyKey = None) -> Json:
    """Sends the event ``webhook.test`` to this webhook; the delivery log tells what came of it."""
    tested = caller.core.webhooks.test(caller.customer_id, _known(webhook_id), idempotency_key=idempotency_key)
    return Json(views.accepted_delivery(tested.delivery), status_code=202, headers=replay_headers(tested.replayed))


@router.get("/{webhook_id}/deliveries", operation_id="listDeliveries")
async def deliveries(webhook_id: str, caller: Owner, limit: Limit = LIMIT, cursor: Cursor = None) -> Json:
    """What was sent to this webhook within 30 days, newest first, with every attempt."""
    webhooks, webhook = caller.core.webhooks, _known(webhook_id)
    return listing(
        caller,
        lambda key: webhooks.deliveries(caller.customer_id, webhook, limit=limit, key=key),
        views.delivery,
        name=f"deliveries:{webhook}",
        limit=limit,
        cursor=cursor,
    )


@router.get("/{webhook_id}/deliveries/{delivery_id}", operation_id="getDelivery")
async def one_delivery(webhook_id: str, delivery_id: str, caller: Owner) -> Json:
    """One delivery, with the body that was sent."""
    return Json(views.whole_delivery(caller.core.webhooks.delivery(caller.customer_id, _known(webhook_id), _sent(delivery_id))))


@router.post("/{webhook_id}/deliveries/{delivery_id}/replay", operation_id="replayDelivery")
async def replay(webhook_id: str, delivery_id: str, caller: Owner) -> Json:
    """Sends a delivery that is over once more, under the same webhook-id and by the same schedule."""
    again = caller.core.webhooks.replay(caller.customer_id, _known(webhook_id), _sent(delivery_id))
    return Json(views.accepted_delivery(again), status_code=202)


def _known(webhook_id: str) -> str:
    return known_id(webhook_id, code="WEBHOOK_NOT_FOUND")


def _sent(delivery_id: str) -> str:
    return known_id(delivery_id, code="DELIVERY_NOT_FOUND")
