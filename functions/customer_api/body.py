"""What a request body must be before anything reads it."""

from gpupool.errors import ValidationFailed
from gpupool.http.asgi import App, Message, Receive, Scope, Send

MAX_BYTES = 1_000_000


class BodyGuard:
    """Refuses a body over MAX_BYTES and one that does not call itself JSON, when a route comes to read it."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] == "GET":
            await self._app(scope, receive, send)
            return
        received = 0

        async def guarded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BYTES:
                raise _too_large()
            if received and not _is_json(scope):
                raise _not_json()
            return message

        await self._app(scope, guarded, send)


def _too_large() -> ValidationFailed:
    message = f"The body is larger than {MAX_BYTES} bytes; send files to the presigned URL of an upload."
    return ValidationFailed(message, code="BODY_TOO_LARGE", field="")


def _not_json() -> ValidationFailed:
    message = "The body does not call itself JSON; send Content-Type: application/json."
    return ValidationFailed(message, code="UNSUPPORTED_MEDIA_TYPE", field="Content-Type")


def _is_json(scope: Scope) -> bool:
    declared = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    media_type: bytes = declared.partition(b";")[0].strip().lower()
    return media_type == b"application/json" or (media_type.startswith(b"application/") and media_type.endswith(b"+json"))
