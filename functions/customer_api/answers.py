"""Answers as JSON, straight from dictionaries: validating our own output again would cost more than everything else here."""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import Request, Response

from gpupool.pages import Key, Page

if TYPE_CHECKING:
    from functions.customer_api.deps import Caller, PortalCaller

T = TypeVar("T")
View = dict[str, Any]
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class Json(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        # Text of strangers may hold lone surrogates, which UTF-8 has no form for.
        return _encode(content).encode(errors="replace")


def replay_headers(replayed: bool) -> dict[str, str] | None:
    """What tells the repeat of an earlier request from a first one."""
    return {"Idempotent-Replayed": "true"} if replayed else None


def cacheable(request: Request, content: Mapping[str, Any], *, seconds: int) -> Response:
    """A public answer that anybody may keep for a while, and ask about again by its ETag."""
    body = Json(content, headers={"Cache-Control": f"public, max-age={seconds}"})
    etag = f'"{hashlib.sha256(bytes(body.body)).hexdigest()[:32]}"'
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"Cache-Control": f"public, max-age={seconds}", "ETag": etag})
    body.headers["ETag"] = etag
    return body


def moment(at: datetime | None) -> str | None:
    """RFC 3339 in UTC, with milliseconds."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def listing(
    caller: "Caller | PortalCaller",
    page_of: Callable[[Key | None], Page[T]],
    show: Callable[[T], Mapping[str, Any]],
    *,
    name: str,
    limit: int,
    cursor: str | None,
) -> Json:
    """One page in the list envelope. ``name`` says which list and filter a cursor belongs to."""
    cursors = caller.core.cursors
    scope = f"{caller.customer_id}:{name}"
    page = page_of(cursors.decode(cursor, scope=scope))
    following = cursors.encode(page.next_key, scope=scope)
    return Json(
        {
            "data": [show(item) for item in page.items],
            "page": {"limit": limit, "next_cursor": following, "has_more": following is not None},
        }
    )
