"""Which pages may act with the cookie of a session.

A browser sends the cookie along whatever page asked it to; only what the page itself puts into a header proves that it
knows a secret. The cookie is SameSite=Lax already; this also stops pages of other origins on the same site.
"""

from fastapi import Request

from gpupool.errors import Forbidden

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def check_origin(request: Request, *, cookie: str, portal_origin: str) -> None:
    """ORIGIN_DENIED for a change that only the session's ``cookie`` vouches for and that a page of another origin asks for.

    No Origin means no browser, or one that asks for nothing that can change. No ``portal_origin``: nothing is refused.
    """
    origin = request.headers.get("origin")
    if not portal_origin or origin is None or origin == portal_origin or request.method in _SAFE:
        return
    if "x-api-key" in request.headers or _has_bearer(request) or cookie not in request.cookies:
        return
    raise Forbidden(
        "A page of another origin may not use the session's cookie; send the session token as a bearer token, or an API key.",
        code="ORIGIN_DENIED",
    )


def _has_bearer(request: Request) -> bool:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and bool(token)
