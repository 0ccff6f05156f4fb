"""Who calls, and which page they want. One dependency per route: each costs time in every request."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Query, Request

from gpupool.accounts.model import Principal, Scope
from gpupool.errors import AuthRequired, NotFound
from gpupool.pages import DEFAULT_LIMIT, MAX_LIMIT

if TYPE_CHECKING:
    from gpupool.bootstrap import CustomerCore

COOKIE = "gpu_agent_session"
_MAX_ID = 200

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="items in the page")]
Cursor = Annotated[str | None, Query(max_length=2048, description="next_cursor of the page before")]
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
        principal = _principal(core, request)
        principal.require(scope)
        return Caller(core, principal.customer_id)

    caller.__dict__["scope"] = scope
    return Depends(caller)


async def _signed_in(request: Request) -> PortalCaller:
    core = core_of(request)
    token = session_token(request)
    if token is None:
        raise AuthRequired("Sign in to the portal for this; an API key cannot do it.")
    return PortalCaller(core, core.accounts.by_session(token).customer_id, token)


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


def _principal(core: "CustomerCore", request: Request) -> Principal:
    key = request.headers.get("x-api-key")
    if key is not None:
        return core.accounts.by_api_key(key)
    token = session_token(request)
    if token is None:
        raise AuthRequired("Send an API key as X-API-Key, or sign in and send the session token as a bearer token.")
    return core.accounts.by_session(token)
