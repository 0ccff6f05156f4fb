"""Every request gets an id and an answer.

Pure ASGI rather than Starlette's BaseHTTPMiddleware, which starts a task group per request and doubles a small handler's time.
"""

import logging

from starlette.responses import JSONResponse

from gpupool.http.asgi import App, Message, Receive, Scope, Send
from gpupool.http.envelope import REQUEST_ID, error_response
from gpupool.ids import new_id

logger = logging.getLogger(__name__)


HEADER = b"x-request-id"
# Where on the scope's state others leave headers that every answer to this request carries, crashes included.
EXTRA_HEADERS = "extra_headers"


class RequestIdMiddleware:
    """Puts the request id on the scope and on the answer; an exception nobody expected becomes a 500 in the envelope.

    ``headers`` are added to every answer that does not say otherwise, crashes included. Add this middleware last, so that it
    is the outermost.
    """

    def __init__(self, app: App, *, headers: tuple[tuple[str, str], ...] = ()) -> None:
        self._app = app
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})[REQUEST_ID] = request_id
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                extra = [*scope["state"].get(EXTRA_HEADERS, ()), (HEADER, request_id.encode())]
                named = {name for name, _ in message["headers"]}
                defaults = [(name, value) for name, value in self._headers if name not in named]
                message = {**message, "headers": [*message["headers"], *extra, *defaults]}
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            logger.exception("request_crashed", extra={"request_id": request_id, "path": scope.get("path")})
            if not started:
                await _crash_answer(request_id)(scope, receive, send_with_id)


def _crash_answer(request_id: str) -> JSONResponse:
    return error_response(500, "INTERNAL_ERROR", "Something went wrong on our side; try again later.", request_id=request_id)


def _request_id(scope: Scope) -> str:
    """API Gateway's id where there is one, so that an answer is found in its access log; a caller cannot choose it."""
    event = scope.get("aws.event") or {}
    return str(event.get("requestContext", {}).get("requestId") or new_id())
