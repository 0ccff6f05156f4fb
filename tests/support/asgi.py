"""A synchronous client for an ASGI app, in-process. Starlette's own TestClient wants a second HTTP library."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx


class AsgiClient:
    """Sends one request at a time; exceptions that the app lets through reach the test."""

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        *,
        headers: dict[str, str] | None = None,
        client: tuple[str, int] = ("127.0.0.1", 123),
    ) -> None:
        self._app = app
        self._headers = dict(headers or {})
        self._client = client

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app, client=self._client)
            async with httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=self._headers) as client:
                return await client.request(method, path, **options)

        # Not asyncio.run: it would take the thread's event loop away from handlers that Mangum runs later.
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(send())
        finally:
            loop.close()

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)
