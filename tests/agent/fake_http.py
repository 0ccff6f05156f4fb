"""The HTTP under the fake control plane."""

import json
import socket
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

from gpupool.wire.base import Message
from gpupool.wire.errors import NodeErrorCode


@dataclass(frozen=True)
class Answer:
    """``cut_after``: send only so many bytes of the body, then close the connection. ``pause``: seconds after every byte."""

    status: int = 200
    body: bytes = b""
    media_type: str = "application/json"
    retry_after: str | None = None
    cut_after: int | None = None
    pause: float | None = None

    @classmethod
    def of(cls, value: Message | dict[str, Any]) -> "Answer":
        text = value.model_dump_json() if isinstance(value, Message) else json.dumps(value)
        return cls(body=text.encode())


@dataclass(frozen=True)
class Trouble:
    """What one call meets: closed ``before`` or ``after`` it is handled, or answered ``instead`` of being handled."""

    before: bool = False
    after: bool = False
    instead: Answer | None = None


LOST_CALL = Trouble(before=True)
LOST_ANSWER = Trouble(after=True)
UNAVAILABLE = Trouble(instead=Answer(status=503))


def refusal(status: int, code: NodeErrorCode) -> Answer:
    error = {"code": code.value, "message": f"refused: {code.value}", "request_id": "r-1"}
    return Answer(status=status, body=json.dumps({"error": error}).encode())


def refused(status: int, code: NodeErrorCode) -> Trouble:
    return Trouble(instead=refusal(status, code))


class Handler(BaseHTTPRequestHandler):
    """Hands every request to the server's ``answer``."""

    protocol_version = "HTTP/1.1"
    # Else a body, sent after its head, waits 40 ms for the client's delayed acknowledgement.
    disable_nagle_algorithm = True

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError):  # an agent that was killed, or left an open poll behind
            self.close_connection = True

    def do_POST(self) -> None:
        self._serve()

    do_GET = do_POST  # noqa: N815 - the names that http.server looks for
    do_PUT = do_POST  # noqa: N815

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer: Answer | None = self.server.answer(self.command, self.path, headers, body)  # type: ignore[attr-defined]
        if answer is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.media_type)
        self.send_header("Content-Length", str(len(answer.body)))
        if answer.retry_after is not None:
            self.send_header("Retry-After", answer.retry_after)
        self.end_headers()
        body = answer.body if answer.cut_after is None else answer.body[: answer.cut_after]
        if answer.pause is None:
            self.wfile.write(body)
        else:
            self._trickle(body, pause=answer.pause)
        if answer.cut_after is not None:
            self.close_connection = True

    def _trickle(self, body: bytes, *, pause: float) -> None:
        never = threading.Event()
        for byte in body:
            self.wfile.write(bytes([byte]))
            never.wait(pause)

    def log_message(self, *_arguments: object) -> None:
        """Silent."""
