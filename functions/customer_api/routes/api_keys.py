"""API keys; only a signed-in customer manages them, so that a leaked key cannot make more keys."""

from fastapi import APIRouter, Response

from functions.customer_api.answers import Json, listing, replay_headers
from functions.customer_api.deps import LIMIT, Cursor, IdempotencyKey, Limit, SignedIn
from functions.customer_api.requests.accounts import CreateKeyRequest
from functions.customer_api.routes import PREFIX
from functions.customer_api.views import accounts as views

router = APIRouter(prefix=f"{PREFIX}/api-keys", tags=["api keys"])


@router.post("", operation_id="createApiKey")
async def create(body: CreateKeyRequest, caller: SignedIn, idempotency_key: IdempotencyKey = None) -> Json:
    """A new key. Its plaintext is in ``key``, here and never again but for a repeat with the same Idempotency-Key."""
    made = caller.core.accounts.create_key(
        caller.customer_id,
        name=body.name,
        scopes=frozenset(body.scopes),
        expires_at=body.expires_at,
        idempotency_key=idempotency_key,
    )
    headers = replay_headers(made.replayed)
    return Json({**views.api_key(made.key), "key": made.plaintext}, status_code=201, headers=headers)


@router.get("", operation_id="listApiKeys")
async def page(caller: SignedIn, limit: Limit = LIMIT, cursor: Cursor = None) -> Json:
    """Your keys, ended ones included; never their plaintext."""
    accounts = caller.core.accounts
    return listing(
        caller,
        lambda key: accounts.keys(caller.customer_id, limit=limit, key=key),
        views.api_key,
        name="api-keys",
        limit=limit,
        cursor=cursor,
    )


@router.get("/{key_id}", operation_id="getApiKey")
async def one(key_id: str, caller: SignedIn) -> Json:
    """One key; never its plaintext."""
    return Json(views.api_key(caller.core.accounts.key(caller.customer_id, key_id)))


@router.delete("/{key_id}", operation_id="revokeApiKey")
async def revoke(key_id: str, caller: SignedIn) -> Response:
    """Ends a key at once; the list keeps showing it."""
    caller.core.accounts.revoke_key(caller.customer_id, key_id)
    return Response(status_code=204)
