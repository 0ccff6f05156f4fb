"""What API Gateway and Lambda hand to a handler."""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_EVENTS = Path(__file__).parents[2] / "events"


@dataclass
class FakeLambdaContext:
    """The part of Lambda's context that the functions' logger reads."""

    function_name: str = "function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id: str = "9f3c2f0e-0000-4000-8000-000000000001"


@dataclass(frozen=True)
class Answer:
    """What a handler returned to API Gateway; ``body`` is what its JSON says, of a CSV file the bytes."""

    status: int
    headers: dict[str, str]
    body: Any
    cookies: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        return str(self.body["error"]["code"])


def load_event(name: str) -> dict[str, Any]:
    """An event of ``events/``, a fresh copy to change."""
    event: dict[str, Any] = json.loads((_EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return event


def invoke(handler: Callable[..., dict[str, Any]], event: dict[str, Any]) -> Answer:
    """Calls an HTTP handler as Lambda does, on an event loop of its own."""
    with event_loop():
        raw = handler(event, FakeLambdaContext())
    text, headers = raw.get("body") or "", raw.get("headers", {})
    if headers.get("content-type", "").startswith("text/csv"):
        body = base64.b64decode(text) if raw["isBase64Encoded"] else text.encode()
    else:
        body = json.loads(text) if text else None
    return Answer(raw["statusCode"], headers, body, tuple(raw.get("cookies", ())))


@contextmanager
def event_loop() -> Iterator[None]:
    """A loop for the doors' frameworks, which want one in their thread."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()
