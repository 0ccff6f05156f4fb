"""A long poll ends with its connection.

SQS hands a message to a caller; one whose connection is gone is no caller. The emulator polls on for up to 20 s and
gives the next message to nobody, so the work of a node that died is followed by 30 s (the visibility timeout) in which
another node's work cannot be received.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

_TARGET = "AmazonSQS.ReceiveMessage"

Asgi = Callable[[Any, Any, Any], Awaitable[None]]


def is_long_poll(headers: dict[str, str]) -> bool:
    """Whether this is a ReceiveMessage of the JSON protocol, which every current SDK speaks."""
    return headers.get("x-amz-target") == _TARGET


async def serve(app: Asgi, scope: Any, receive: Any, send: Any) -> None:
    """Serve one ReceiveMessage; it is abandoned, before it takes a message, when the caller disconnects."""
    requests: asyncio.Queue[Any] = asyncio.Queue()
    work = asyncio.create_task(_run(app, scope, requests, send))
    watch = asyncio.create_task(_watch(receive, requests))
    await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
    for task in (work, watch):
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work


async def _run(app: Asgi, scope: Any, requests: "asyncio.Queue[Any]", send: Any) -> None:
    await app(scope, requests.get, send)


async def _watch(receive: Any, requests: "asyncio.Queue[Any]") -> None:
    """Pass the request on, and return when the caller is gone."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        await requests.put(message)
