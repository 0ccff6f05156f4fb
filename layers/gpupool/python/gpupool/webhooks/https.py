"""Requests to receivers, over a connection that goes to the very address that was checked.

A name is resolved once. If it were checked and then handed to a library that resolves it again, a name server could answer
with a public address first and with 169.254.169.254 a moment later. One deadline holds for everything, from the first question
to the name server to the last header, because each of them can be slow on purpose.
"""

import http.client
import io
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from urllib.parse import SplitResult, urlsplit

from gpupool.webhooks.addresses import is_public, literal_address
from gpupool.webhooks.sender import Outcome, SendError

RESOLVE_SECONDS = 5.0
CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 15.0
_MOST_ADDRESSES = 8
_HEAD_BYTES = 64 * 1024
_PORTS = {"https": 443, "http": 80}

Resolve = Callable[[str, int], list[str]]
# An address, its port and the seconds that there are; OSError when nothing connects.
Connect = Callable[[str, int, float], socket.socket]


def resolve(host: str, port: int) -> list[str]:
    """Every address of the name, in the resolver's order. The dot at its end keeps it from being tried below other domains."""
    found = socket.getaddrinfo(f"{host}." if "." in host else host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


def connect(address: str, port: int, seconds: float) -> socket.socket:
    return socket.create_connection((address, port), timeout=seconds)


class Refused(Exception):
    """Ends a request before there is an answer."""

    def __init__(self, error: SendError) -> None:
        super().__init__(error)
        self.error = error


class _Deadline:
    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self, at_most: float | None = None) -> float:
        """Seconds; Refused when there are none, since a socket would take 0 for not waiting at all."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise Refused(SendError.TIMED_OUT)
        return left if at_most is None else min(left, at_most)


@dataclass
class PinnedSender:
    """Fresh connections, no redirects, no proxy, no cookies; nothing is read of an answer's body."""

    context: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    resolve: Resolve = resolve
    connect: Connect = connect
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
        host, port = url.hostname or "", url.port or _PORTS[url.scheme]
        deadline = _Deadline(self.total_seconds)
        addresses = self._checked(host, port, deadline)
        with self._connected(addresses, port, deadline) as plain, self._secured(plain, url, deadline) as wire:
            try:
                _send(wire, _request(url, headers, body), deadline)
                answer = http.client.HTTPResponse(_Head(wire, deadline), method="POST")  # type: ignore[arg-type]
                answer.begin()
            except TimeoutError as error:
                raise Refused(SendError.TIMED_OUT) from error
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise Refused(SendError.BAD_ANSWER) from error
            return answer.status, _seconds(answer.headers.get("Retry-After"))

    def _checked(self, host: str, port: int, deadline: _Deadline) -> list[str]:
        """The addresses of the host; one that is not public refuses them all."""
        literal = literal_address(host)
        addresses = self._resolved(host, port, deadline.left(RESOLVE_SECONDS)) if literal is None else [str(literal)]
        if not addresses:
            raise Refused(SendError.DNS_FAILED)
        if host not in self.insecure_hosts and not all(is_public(ipaddress.ip_address(each)) for each in addresses):
            raise Refused(SendError.ADDRESS_REFUSED)
        return addresses

    def _resolved(self, host: str, port: int, seconds: float) -> list[str]:
        """Asked aside: a resolver cannot be interrupted, and its own patience is longer than ours."""
        answers: SimpleQueue[list[str]] = SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self.resolve(host, port))
            except (OSError, UnicodeError):
                answers.put([])

        Thread(target=ask, daemon=True, name="resolve").start()
        try:
            return answers.get(timeout=seconds)
        except Empty:
            raise Refused(SendError.DNS_FAILED) from None

    def _connected(self, addresses: list[str], port: int, deadline: _Deadline) -> socket.socket:
        """The first address that takes the connection: where there is no IPv6, an address of it fails at once."""
        failure: OSError = OSError("no address")
        for address in addresses[:_MOST_ADDRESSES]:
            try:
                return self.connect(address, port, deadline.left(CONNECT_SECONDS))
            except OSError as error:
                failure = error
        raise Refused(SendError.TIMED_OUT if isinstance(failure, TimeoutError) else SendError.CONNECT_FAILED) from failure

    def _secured(self, plain: socket.socket, url: SplitResult, deadline: _Deadline) -> socket.socket:
        if url.scheme == "http":
            return plain
        plain.settimeout(deadline.left())
        try:
            return self.context.wrap_socket(plain, server_hostname=url.hostname)
        except TimeoutError as error:
            raise Refused(SendError.TIMED_OUT) from error
        except (OSError, ValueError) as error:
            raise Refused(SendError.TLS_FAILED) from error


class _Head(io.RawIOBase):
    """The head of an answer as it comes from a socket, by a deadline and up to a size: all that ``HTTPResponse`` needs.

    A socket's own timeout starts anew with every byte, and a TLS socket is not cut by closing the one that it was made from.
    """

    def __init__(self, wire: socket.socket, deadline: _Deadline) -> None:
        self._wire = wire
        self._deadline = deadline
        self._left = _HEAD_BYTES

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._left <= 0:
            raise Refused(SendError.BAD_ANSWER)
        self._wire.settimeout(self._deadline.left())
        read = self._wire.recv_into(buffer, min(len(buffer), self._left))
        self._left -= read
        return read


def _request(url: SplitResult, headers: dict[str, str], body: bytes) -> bytes:
    host = url.hostname or ""
    place = f"[{host}]" if ":" in host else host
    if url.port not in (None, _PORTS[url.scheme]):
        place += f":{url.port}"
    target = f"{url.path or '/'}{'?' + url.query if url.query else ''}"
    fields = {"Host": place, "Content-Length": str(len(body)), "Connection": "close", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST {target} HTTP/1.1\r\n{head}\r\n".encode("ascii") + body


def _send(wire: socket.socket, data: bytes, deadline: _Deadline) -> None:
    left = memoryview(data)
    while left:
        wire.settimeout(deadline.left())
        left = left[wire.send(left) :]


def _seconds(retry_after: str | None) -> int | None:
    """Only the form in seconds; a date would need the receiver's clock to agree with ours."""
    return int(retry_after) if retry_after is not None and retry_after.isdecimal() and len(retry_after) < 8 else None


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
