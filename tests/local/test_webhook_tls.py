"""Requests over TLS, as all of a deployment's are: pinned to what was checked, and over in time whatever the receiver does."""

import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Event

import pytest

from gpupool.webhooks.https import PinnedSender, connect, resolve
from gpupool.webhooks.sender import Outcome, SendError
from tests.support.receiver import HOST, Behaviour, Certificate, Receiver, drips, receiving, says, waits

PUBLIC, PUBLIC_V6 = "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"
BODY = '{"type":"job.completed"}'
# Seconds: enough on a busy machine, and little enough to wait for.
ENOUGH, LITTLE = 10.0, 0.6


class Internet:
    """Names and addresses as a test says they are; every public address is one of this machine's."""

    def __init__(self, *answers: list[str], here: Mapping[str, str] | None = None) -> None:
        self._answers = list(answers)
        self._here = here or {PUBLIC: "127.0.0.1", PUBLIC_V6: "::1"}
        self.asked: list[str] = []
        self.connected: list[str] = []

    def resolve(self, host: str, _port: int) -> list[str]:
        self.asked.append(host)
        return self._answers[min(len(self.asked), len(self._answers)) - 1]

    def connect(self, address: str, port: int, seconds: float) -> socket.socket:
        self.connected.append(address)
        if address not in self._here:
            raise OSError("no route")
        return connect(self._here[address], port, seconds)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("certificate"), HOST, PUBLIC)


@pytest.fixture
def receiver(certificate: Certificate) -> Iterator[Receiver]:
    with receiving(tls=certificate.server()) as receiver:
        yield receiver


def send(
    receiver: Receiver, trust: ssl.SSLContext, internet: Internet, *, host: str = HOST, seconds: float = ENOUGH
) -> Outcome:
    sender = PinnedSender(context=trust, resolve=internet.resolve, connect=internet.connect, total_seconds=seconds)
    return sender.send(f"https://{host}:{receiver.port}/hook?a=1", {"webhook-id": "d-1"}, BODY)


def test_the_request_is_the_one_that_was_meant_and_goes_to_the_address_that_was_checked(
    receiver: Receiver, certificate: Certificate
) -> None:
    internet = Internet([PUBLIC])

    assert send(receiver, certificate.trust(), internet).delivered

    assert (internet.asked, internet.connected, receiver.server_names) == ([HOST], [PUBLIC], [HOST])
    (request,) = receiver.requests
    head, _, body = request.decode().partition("\r\n\r\n")
    assert body == BODY
    assert head.split("\r\n") == [
        "POST /hook?a=1 HTTP/1.1",
        f"Host: {HOST}:{receiver.port}",
        f"Content-Length: {len(BODY)}",
        "Connection: close",
        "webhook-id: d-1",
    ]


def test_the_usual_port_is_not_in_the_host_header(certificate: Certificate) -> None:
    with receiving(tls=certificate.server()) as receiver:
        sender = PinnedSender(
            context=certificate.trust(),
            resolve=lambda _host, _port: [PUBLIC],
            connect=lambda _address, _port, seconds: connect("127.0.0.1", receiver.port, seconds),
        )

        assert sender.send(f"https://{HOST}/", {}, BODY).delivered
        assert f"\r\nHost: {HOST}\r\n".encode() in receiver.requests[0]


def test_a_name_that_changes_its_mind_is_refused_at_the_next_attempt_and_not_asked_twice_in_one(
    receiver: Receiver, certificate: Certificate
) -> None:
    internet = Internet([PUBLIC], ["127.0.0.1"])

    assert send(receiver, certificate.trust(), internet).delivered
    assert len(internet.asked) == 1
    assert send(receiver, certificate.trust(), internet).error is SendError.ADDRESS_REFUSED
    assert (receiver.connections, internet.connected) == (1, [PUBLIC])


@pytest.mark.parametrize(
    "hidden", ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "fd00:ec2::254", "::ffff:127.0.0.1", "2606:4700::1%eth0"]
)
@pytest.mark.parametrize("first", [True, False])
def test_one_address_that_is_not_public_refuses_them_all(
    receiver: Receiver, certificate: Certificate, hidden: str, first: bool
) -> None:
    internet = Internet([hidden, PUBLIC] if first else [PUBLIC, hidden])

    assert send(receiver, certificate.trust(), internet).error is SendError.ADDRESS_REFUSED
    assert internet.connected == []


def test_addresses_that_cannot_be_reached_give_way_to_one_that_can(receiver: Receiver, certificate: Certificate) -> None:
    internet = Internet(["2a00::1", "2a00::2", "2a00::3", PUBLIC])

    assert send(receiver, certificate.trust(), internet).delivered
    assert internet.connected[-1] == PUBLIC


def test_ipv6_and_addresses_in_the_url_are_spoken_to(receiver: Receiver, certificate: Certificate) -> None:
    with receiving(tls=certificate.server(), address="::1") as six:
        assert send(six, certificate.trust(), Internet([PUBLIC_V6])).delivered

    assert send(receiver, certificate.trust(), Internet([]), host=PUBLIC).delivered
    assert send(receiver, certificate.trust(), Internet([]), host="127.0.0.1").error is SendError.ADDRESS_REFUSED


@pytest.mark.parametrize(
    "behaviour",
    [waits, drips("HTTP/1.1 200 OK\r\n", every=0.05), drips("HTTP/1.1 100 Continue\r\n\r\n", every=0.002)],
    ids=["silent", "dripping", "always about to continue"],
)
def test_a_slow_receiver_is_given_up_in_time(receiver: Receiver, certificate: Certificate, behaviour: Behaviour) -> None:
    receiver.behaviour = behaviour
    began = time.monotonic()

    assert send(receiver, certificate.trust(), Internet([PUBLIC]), seconds=LITTLE).error is SendError.TIMED_OUT
    assert time.monotonic() - began < 5


def test_a_receiver_that_never_shakes_hands_is_given_up_in_time(certificate: Certificate) -> None:
    with receiving(tls=None) as receiver:
        assert send(receiver, certificate.trust(), Internet([PUBLIC]), seconds=LITTLE).error is SendError.TIMED_OUT


def test_a_name_server_that_never_answers_is_given_up_in_time(certificate: Certificate) -> None:
    over = Event()

    def never(_host: str, _port: int) -> list[str]:
        over.wait(30)
        return []

    outcome = PinnedSender(context=certificate.trust(), resolve=never, total_seconds=0.2).send(f"https://{HOST}/", {}, BODY)
    over.set()

    assert outcome.error is SendError.DNS_FAILED
    assert outcome.duration_ms < 5_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: " + "x" * 70_000,
        "HTTP/1.1 200 OK\r\n" + ("X: " + "x" * 60_000 + "\r\n") * 2,
        "HTTP/1.1 200 OK\r\n" + "X: x\r\n" * 200 + "\r\n",
    ],
    ids=["nothing", "not http", "no status", "an endless line", "large headers", "many headers"],
)
def test_what_is_no_answer_is_a_bad_one(receiver: Receiver, certificate: Certificate, text: str) -> None:
    receiver.behaviour = says(text)

    outcome = send(receiver, certificate.trust(), Internet([PUBLIC]))

    assert (outcome.status_code, outcome.error) == (None, SendError.BAD_ANSWER)


def test_a_certificate_of_another_name_or_another_time_is_refused(tmp_path: Path) -> None:
    for one in (Certificate(tmp_path, "elsewhere.example.com"), Certificate(tmp_path, HOST, days=-1)):
        with receiving(tls=one.server()) as receiver:
            assert send(receiver, one.trust(), Internet([PUBLIC])).error is SendError.TLS_FAILED
            assert receiver.requests == []


def test_proxies_of_the_environment_are_not_used(
    receiver: Receiver, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert send(receiver, certificate.trust(), Internet([PUBLIC])).delivered


def test_the_system_resolves_this_machine_and_no_nonsense() -> None:
    assert "127.0.0.1" in resolve("localhost", 443)
    with pytest.raises((OSError, UnicodeError)):
        resolve("a..b", 443)
