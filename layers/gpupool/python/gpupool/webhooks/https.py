"""Requests to receivers, over a connection that goes to the very address that was checked.

A name is resolved once. If it were checked and then handed to a library that resolves it again, a name server could answer
with a public address first and with 169.254.169.254 a moment later.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from gpupool.webhooks.addresses import is_public, literal_address
from gpupool.webhooks.sender import Outcome, SendError

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 15.0

Resolve = Callable[[str, int], list[str]]


def resolve(host: str, port: int) -> list[str]:
    """Every address of the name, in the resolver's order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


class Refused(Exception):
    """Ends a request before there is an answer."""

    def __init__(self, error: SendError) -> None:
        super().__init__(error)
        self.error = error


@dataclass
class PinnedSender:
    """Fresh connections, no redirects, no proxy, no cookies; nothing is read of an answer's body."""

    context: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    resolve: Resolve = resolve
    insecure_hosts: frozenset[str] = frozenset()
    total_seconds: float = TOTAL_SECONDS

    def send(self, url: str, headers: dict[str, str], body: str) -> Outcome:
        started = time.monotonic()
        try:
            status, retry_after = self._ask(urlsplit(url), headers, body.encode())
        except Refused as refused:
            return Outcome(_since(started), error=refused.error)
        error = SendError.REDIRECTED if 300 <= status < 400 else None
        return Outcome(_since(started), status_code=status, error=error, retry_after_seconds=retry_after)

    def _ask(self, url: SplitResult, headers: dict[str, str], body: bytes) -> tuple[int, int | None]:
        host = url.hostname or ""
        port = url.port or (443 if url.scheme == "https" else 80)
        plain = self._connect(self._checked(host, port), port)
        over = threading.Event()
        # A socket's timeout starts anew with every byte; only this ends an answer that comes drop by drop.
        watchdog = threading.Timer(self.total_seconds, _cut, (plain, over))
        watchdog.start()
        try:
            connection = http.client.HTTPConnection(host, port)
            connection.sock = self._secured(plain, host) if url.scheme == "https" else plain
            target = f"{url.path or '/'}{'?' + url.query if url.query else ''}"
            connection.request("POST", target, body=body, headers={**headers, "Connection": "close"})
            answer = connection.getresponse()
            return answer.status, _seconds(answer.headers.get("Retry-After"))
        except Exception as error:
            raise Refused(SendError.TIMED_OUT if over.is_set() else _word_for(error)) from error
        finally:
            watchdog.cancel()
            plain.close()

    def _checked(self, host: str, port: int) -> list[str]:
        """The addresses of the host; one that is not public refuses them all."""
        literal = literal_address(host)
        try:
            addresses = self.resolve(host, port) if literal is None else [str(literal)]
        except OSError as error:
            raise Refused(SendError.DNS_FAILED) from error
        if not addresses:
            raise Refused(SendError.DNS_FAILED)
        if host not in self.insecure_hosts and not all(is_public(ipaddress.ip_address(each)) for each in addresses):
            raise Refused(SendError.ADDRESS_REFUSED)
        return addresses

    def _connect(self, addresses: list[str], port: int) -> socket.socket:
        failure: OSError = OSError("no address")
        for address in addresses[:2]:
            try:
                return socket.create_connection((address, port), timeout=CONNECT_SECONDS)
            except OSError as error:
                failure = error
        raise Refused(SendError.TIMED_OUT if isinstance(failure, TimeoutError) else SendError.CONNECT_FAILED) from failure

    def _secured(self, plain: socket.socket, host: str) -> ssl.SSLSocket:
        plain.settimeout(self.total_seconds)
        return self.context.wrap_socket(plain, server_hostname=host)


def _cut(connection: socket.socket, over: threading.Event) -> None:
    over.set()
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _word_for(error: Exception) -> SendError:
    words: tuple[tuple[Any, SendError], ...] = (
        (TimeoutError, SendError.TIMED_OUT),
        (ssl.SSLError, SendError.TLS_FAILED),
        (OSError, SendError.CONNECT_FAILED),
        (http.client.HTTPException, SendError.BAD_ANSWER),
        (ValueError, SendError.BAD_ANSWER),
    )
    for kind, word in words:
        if isinstance(error, kind):
            return word
    raise error


def _seconds(retry_after: str | None) -> int | None:
    """Only the form in seconds; a date would need the receiver's clock to agree with ours."""
    return int(retry_after) if retry_after is not None and retry_after.isdecimal() and len(retry_after) < 8 else None


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
