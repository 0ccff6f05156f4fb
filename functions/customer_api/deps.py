"""Who calls, and which page they want. One dependency per route: each costs time in every request."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Header, Query, Request

from functions.customer_api.origin import check_origin
from gpupool.accounts.model import Principal, Scope
from gpupool.errors import AuthRequired, CoreError, NotFound
from gpupool.pages import DEFAULT_LIMIT, MAX_LIMIT

if TYPE_CHECKING:
    from gpupool.bootstrap import CustomerCore

COOKIE = "gpu_agent_session"
IDENTITY = "identity"
_MAX_ID = 200
_SIGN_IN = "Send an API key as X-API-Key, or sign in and send the session token as a bearer token."

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="items in the page")]
Cursor = Annotated[str | None, Query(max_length=2048, description="next_cursor of the page before")]
IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key")]
LIMIT: int = DEFAULT_LIMIT


@dataclass(frozen=True, slots=True)
class Caller:
    """A proven customer and the core that serves them."""

    core: "CustomerCore"
    customer_id: str


@dataclass(frozen=True, slots=True)
class PortalCaller:
    """A customer signed in to the portal, with the token of that session."""

    core: "CustomerCore"
    customer_id: str
    token: str


def core_of(request: Request) -> "CustomerCore":
    core: CustomerCore = request.app.state.core()
    return core


def allowed(scope: Scope) -> Any:
    """A dependency: the caller, by API key with ``scope`` or by session. Its document entry comes from ``scope_of``."""

    async def caller(request: Request) -> Caller:
        core = core_of(request)
        principal = _identity(request).proven()
        principal.require(scope)
        return Caller(core, principal.customer_id)

    caller.__dict__["scope"] = scope
    return Depends(caller)


async def _signed_in(request: Request) -> PortalCaller:
    core = core_of(request)
    token = session_token(request)
    if token is None:
        raise AuthRequired("Sign in to the portal for this; an API key cannot do it.")
    identity = _identity(request)
    # A key beside the session does not make the session less of one.
    principal = core.accounts.by_session(token) if identity.by_key else identity.proven()
    return PortalCaller(core, principal.customer_id, token)


SignedIn = Annotated[PortalCaller, Depends(_signed_in)]


def needs(call: Callable[..., Any] | None) -> Scope | str | None:
    """What a dependency demands: a scope, ``session``, or nothing."""
    return "session" if call is _signed_in else getattr(call, "scope", None)


def session_token(request: Request) -> str | None:
    """The session token of the Authorization header, else of the cookie."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return request.cookies.get(COOKIE)


def known_id(value: str, *, code: str) -> str:
    """``value``, unless it is longer than any id: the store would choke on what is simply not there."""
    if len(value) > _MAX_ID:
        raise NotFound("There is nothing with this id.", code=code)
    return value


@dataclass(frozen=True, slots=True)
class Identity:
    """What a request proves about its sender: a principal, or why it proves none. ``by_key``: it came with an API key."""

    principal: Principal | None
    refusal: CoreError | None
    by_key: bool

    def proven(self) -> Principal:
        """The principal; raises the refusal of a request that proves none."""
        if self.principal is not None:
            return self.principal
        raise self.refusal or AuthRequired(_SIGN_IN)


def identify(core: "CustomerCore", request: Request) -> Identity:
    """Who sends this, by at most one read. A refusal waits until a route wants to know: public ones do not."""
    key = request.headers.get("x-api-key")
    token = session_token(request) if key is None else None
    if key is None and token is None:
        return Identity(None, AuthRequired(_SIGN_IN), by_key=False)
    try:
        principal = core.accounts.by_api_key(key) if key is not None else core.accounts.by_session(token or "")
    except AuthRequired as refusal:
        return Identity(None, refusal, by_key=key is not None)
    return Identity(principal, None, by_key=key is not None)


def _identity(request: Request) -> Identity:
    check_origin(request, cookie=COOKIE, portal_origin=core_of(request).portal_origin)
    identity: Identity = request.scope["state"][IDENTITY]
    return identity
