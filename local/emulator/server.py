"""The emulator's process: `<tool venv>/bin/python local/emulator/server.py`, configured by its environment only.

It ends on SIGTERM, SIGINT and, with GPUPOOL_EXIT_WITH_STDIN=1, when its standard input closes, so that a test runner
that is killed leaves nothing behind. State is saved before it ends.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

# The script's own folder would shadow names; the repository root is for this process only. PYTHONPATH would do the
# same for every handler too, which must see nothing but its asset, its layers and the project's environment.
sys.path[0] = str(Path(__file__).resolve().parents[2])

# hypercorn, like the emulator, is installed in the tool venv only, where no type checker looks.
from hypercorn.asyncio import serve  # type: ignore[import-not-found]  # noqa: E402
from hypercorn.config import Config  # type: ignore[import-not-found]  # noqa: E402
from ministack import app as emulator  # noqa: E402

from local.emulator import guard, long_polls, prewarm, snapshots  # noqa: E402
from local.emulator.patches import apply_all, resume_executions  # noqa: E402

_DRAIN_SECONDS = 1.0
_NOT_SERVED = 1008
_KEEP_ALIVE_SECONDS = 75.0

Asgi = Callable[[Any, Any, Any], Awaitable[None]]


class Front:
    """The emulator's ASGI application, with our own start and a route that warms the functions up."""

    def __init__(self, *, inner: Asgi) -> None:
        self._inner = inner
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection; every request may change state, so it asks for a snapshot."""
        if scope["type"] == "lifespan":
            await self._inner(scope, receive, self._on_lifespan(send))
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": _NOT_SERVED})
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope.get("query_string", b"").decode("latin-1")
        reason = guard.refusal(method=scope["method"], path=scope["path"], query=query, headers=headers)
        if reason is not None:
            await _refuse(send, reason)
            return
        self._changed.set()
        if scope["path"] == prewarm.ROUTE:
            await prewarm.answer(send)
        elif long_polls.is_long_poll(headers):
            await long_polls.serve(self._inner, scope, receive, send)
        else:
            await self._inner(scope, receive, send)

    def _on_lifespan(self, send: Any) -> Any:
        async def watched(message: Any) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                self._tasks.add(asyncio.create_task(snapshots.save_while_changing(changed=self._changed)))
                resume_executions.resume_all()

        return watched


async def _refuse(send: Any, reason: str) -> None:
    await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": reason.encode()})


async def _serve() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    if os.environ.get("GPUPOOL_EXIT_WITH_STDIN") == "1":
        loop.add_reader(sys.stdin.fileno(), _stop_at_end_of_input, stop)
    config = Config()
    config.bind = [f"127.0.0.1:{os.environ['GATEWAY_PORT']}"]
    config.keep_alive_timeout = _KEEP_ALIVE_SECONDS
    config.graceful_timeout = _DRAIN_SECONDS
    config.loglevel = emulator.LOG_LEVEL.upper()
    await serve(Front(inner=emulator.app), config, shutdown_trigger=stop.wait)


def _stop_at_end_of_input(stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stop.set()


def main() -> None:
    """Apply the patches and serve until told to stop."""
    apply_all()
    snapshots.apply()
    asyncio.run(_serve())


if __name__ == "__main__":
    main()
