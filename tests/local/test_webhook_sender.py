"""Real requests to receivers on this machine: TLS, pinned addresses, and receivers that misbehave."""

import http.server
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gpupool.webhooks import https
from gpupool.webhooks.https import PinnedSender
from gpupool.webhooks.sender import SendError

HOST = "receiver.example.com"
PUBLIC = "93.184.215.14"
Respond = Callable[[http.server.BaseHTTPRequestHandler], None]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-made certificate for HOST, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "receiver.pem"
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


class Receiver:
    """What arrived, and where to send."""

    def __init__(self, port: int, scheme: str) -> None:
        self.port, self.scheme = port, scheme
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    def url(self, host: str = HOST) -> str:
        return f"{self.scheme}://{host}:{self.port}/hook?a=b"


@contextmanager
def receiving(respond: Respond, *, certificate: Path | None) -> Iterator[Receiver]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            respond(self)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver = Receiver(server.server_address[1], "http" if certificate is None else "https")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


def answering(status: int, **headers: str) -> Respond:
    def respond(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()

    return respond


def sender(certificate: Path | None, *, total: float = 5.0) -> PinnedSender:
    """Trusts the certificate, and finds HOST on this machine, whose address counts as public for it alone."""
    context = ssl.create_default_context(cafile=str(certificate)) if certificate else ssl.create_default_context()
    return PinnedSender(
        context=context,
        resolve=lambda _host, _port: ["127.0.0.1"],
        insecure_hosts=frozenset({HOST, "other.example.com"}),
        total_seconds=total,
    )


def test_a_receiver_gets_body_and_headers_and_the_name_it_was_called_by(certificate: Path) -> None:
    with receiving(answering(204), certificate=certificate) as receiver:
        outcome = sender(certificate).send(receiver.url(), {"webhook-id": "msg_1"}, '{"a":"\u00fc"}')

    assert outcome.delivered
    (path, headers, body) = receiver.requests[0]
    assert (path, body.decode()) == ("/hook?a=b", '{"a":"\u00fc"}')
    assert headers["host"] == f"{HOST}:{receiver.port}"
    assert headers["webhook-id"] == "msg_1"
    assert not {"cookie", "authorization"} & set(headers)


def test_a_certificate_of_another_name_ends_it(certificate: Path) -> None:
    with receiving(answering(200), certificate=certificate) as receiver:
        outcome = sender(certificate).send(receiver.url("other.example.com"), {}, "{}")
        stranger = sender(None).send(receiver.url(), {}, "{}")

    assert (outcome.error, stranger.error) == (SendError.TLS_FAILED, SendError.TLS_FAILED)
    assert receiver.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_failure_and_is_not_followed(status: int) -> None:
    with receiving(answering(200), certificate=None) as inner:
        aim = answering(status, Location=inner.url("127.0.0.1"))
        with receiving(aim, certificate=None) as receiver:
            outcome = sender(None).send(receiver.url(), {}, "{}")

    assert (outcome.status_code, outcome.error, outcome.delivered) == (status, SendError.REDIRECTED, False)
    assert inner.requests == []


def test_a_receiver_says_when_to_come_back() -> None:
    with receiving(answering(429, Retry_After="120"), certificate=None) as receiver:
        outcome = sender(None).send(receiver.url(), {}, "{}")
    assert (outcome.status_code, outcome.retry_after_seconds, outcome.delivered) == (429, 120, False)


def drip(handler: http.server.BaseHTTPRequestHandler) -> None:
    """A status line that never ends, one byte at a time."""
    try:
        for _ in range(200):
            handler.wfile.write(b"H")
            time.sleep(0.05)
    except OSError:
        return


def test_an_answer_that_comes_drop_by_drop_is_cut_off() -> None:
    with receiving(drip, certificate=None) as receiver:
        outcome = sender(None, total=0.5).send(receiver.url(), {}, "{}")
    assert outcome.error is SendError.TIMED_OUT
    assert outcome.duration_ms < 5_000


def flood(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"x" * 65_536)
    except OSError:
        return


def test_nothing_is_read_of_a_body_without_end() -> None:
    with receiving(flood, certificate=None) as receiver:
        outcome = sender(None).send(receiver.url(), {}, "{}")
    assert outcome.delivered


def test_what_is_not_http_is_a_bad_answer() -> None:
    with receiving(lambda handler: handler.wfile.write(b"nonsense\r\n\r\n") and None, certificate=None) as receiver:
        outcome = sender(None).send(receiver.url(), {}, "{}")
    assert outcome.error is SendError.BAD_ANSWER


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["169.254.169.254"], ["::1"], ["::ffff:127.0.0.1"], [PUBLIC, "10.0.0.1"], ["fe80::1%lo"]],
)
def test_a_name_with_any_address_that_is_not_public_is_not_asked(addresses: list[str]) -> None:
    with receiving(answering(200), certificate=None) as receiver:
        strict = PinnedSender(resolve=lambda _host, _port: addresses)
        outcome = strict.send(receiver.url(), {}, "{}")
    assert outcome.error is SendError.ADDRESS_REFUSED
    assert receiver.requests == []


def test_a_name_is_resolved_once_so_that_it_cannot_change_its_mind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that says public first and private then: the connection goes where the check looked."""
    answers = iter([[PUBLIC], ["127.0.0.1"]])
    asked: list[str] = []
    went: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    def connect(address: tuple[str, int], **_: object) -> socket.socket:
        went.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(https.socket, "create_connection", connect)
    outcome = PinnedSender(resolve=resolve).send(f"https://{HOST}/", {}, "{}")

    assert (outcome.error, asked, went) == (SendError.CONNECT_FAILED, [HOST], [PUBLIC])
    assert ipaddress.ip_address(went[0]).is_global


def test_names_that_are_not_there_and_ports_where_nobody_listens() -> None:
    def nowhere(_host: str, _port: int) -> list[str]:
        raise socket.gaierror

    assert PinnedSender(resolve=nowhere).send("https://nowhere.example.com/", {}, "{}").error is SendError.DNS_FAILED
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert sender(None).send(f"http://{HOST}:{port}/", {}, "{}").error is SendError.CONNECT_FAILED
