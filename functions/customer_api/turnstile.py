"""Every request passes here first: who sends it, and whether that caller has a token left.

It stands before routing, so that an unknown path, a body that cannot be read and a wrong key cost a token like everything
else, and every answer can tell how many are left.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.requests import Request

from functions.customer_api.deps import IDENTITY, Identity, identify
from functions.customer_api.routes import PREFIX
from gpupool.http.asgi import App, Receive, Scope, Send
from gpupool.http.envelope import error_response, request_id_of
from gpupool.http.request_id import EXTRA_HEADERS
from gpupool.limits.model import Bucket, Standing

if TYPE_CHECKING:
    from gpupool.bootstrap import CustomerCore


_SUBMIT = ("POST", f"{PREFIX}/training-jobs")
# Where a password or a one-time token can be guessed.
_GUESSABLE = frozenset({f"{PREFIX}/auth/login", f"{PREFIX}/auth/accept-invitation", f"{PREFIX}/auth/reset-password"})
_WAIT = "Too many requests; wait as many seconds as Retry-After says."


class Turnstile:
    def __init__(self, app: App, *, core: "Callable[[], CustomerCore]") -> None:
        self._app = app
        self._core = core

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not f"{scope['path']}/".startswith(f"{PREFIX}/"):
            await self._app(scope, receive, send)
            return
        core = self._core()
        request = Request(scope)
        identity = identify(core, request)
        scope["state"][IDENTITY] = identity
        standing = core.limits.take(*_bucket_of(core, request, identity))
        scope["state"][EXTRA_HEADERS] = _headers(standing)
        if standing.retry_after is None:
            await self._app(scope, receive, send)
            return
        refusal = error_response(
            429,
            "RATE_LIMITED",
            _WAIT,
            request_id=request_id_of(request),
            details={"retry_after": standing.retry_after},
            headers={"Retry-After": str(standing.retry_after)},
        )
        await refusal(scope, receive, send)


def _bucket_of(core: "CustomerCore", request: Request, identity: Identity) -> tuple[Bucket, str]:
    """A customer has buckets of its own wherever it calls from; whoever proves nothing is counted by address."""
    rates = core.limits.rates
    if request.method == "POST" and request.url.path in _GUESSABLE:
        return rates.logins, _address(request)
    if identity.principal is None:
        return rates.strangers, _address(request)
    bucket = rates.jobs if (request.method, request.url.path) == _SUBMIT else rates.requests
    return bucket, identity.principal.customer_id


def _address(request: Request) -> str:
    """What the gateway saw. A forwarding header is the caller's to write and is not looked at."""
    event = request.scope.get("aws.event") or {}
    seen = event.get("requestContext", {}).get("http", {}).get("sourceIp")
    return str(seen or (request.client.host if request.client else "unknown"))


def _headers(standing: Standing) -> list[tuple[bytes, bytes]]:
    """As published; Reset counts seconds until the bucket is full again."""
    told = {
        b"x-ratelimit-limit": standing.limit,
        b"x-ratelimit-remaining": standing.remaining,
        b"x-ratelimit-reset": standing.reset_after,
    }
    return [(name, str(value).encode()) for name, value in told.items()]
