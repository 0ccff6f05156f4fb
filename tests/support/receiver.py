"""A receiver of webhooks on this machine, with TLS and a certificate that only its own tests trust."""

import datetime
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from threading import Event, Thread

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "hooks.example.com"
# What the receiver writes once it has the whole request; the event is set when the test is over.
Behaviour = Callable[[socket.socket, Event], None]


def says(text: str) -> Behaviour:
    """Answers with these bytes and hangs up."""

    def behave(wire: socket.socket, _over: Event) -> None:
        wire.sendall(text.encode())

    return behave


def drips(text: str, *, every: float) -> Behaviour:
    """Answers byte by byte, over and over, until the client has enough."""

    def behave(wire: socket.socket, over: Event) -> None:
        while not over.is_set():
            for byte in text.encode():
                wire.sendall(bytes([byte]))
                if over.wait(every):
                    return

    return behave


def waits(_wire: socket.socket, over: Event) -> None:
    """Never answers."""
    over.wait(30)


class Receiver:
    """Listens on one loopback address; keeps every request as it came."""

    def __init__(self, address: str, tls: ssl.SSLContext | None) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.behaviour: Behaviour = says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        self.requests: list[bytes] = []
        self.connections = 0
        self.server_names: list[str | None] = []
        self._tls = tls
        self._over = Event()
        if tls is not None:
            tls.sni_callback = lambda _wire, name, _context: self.server_names.append(name)
        self._listening = socket.create_server((address, 0), family=family)
        self.port: int = self._listening.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._over.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            wire = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
            with wire:
                self.requests.append(_whole_request(wire))
                self.behaviour(wire, self._over)


def _whole_request(wire: socket.socket) -> bytes:
    read = b""
    while b"\r\n\r\n" not in read:
        read += wire.recv(65536)
    head, _, body = read.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    while len(body) < length:
        body += wire.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def receiving(*, tls: ssl.SSLContext | None, address: str = "127.0.0.1") -> Iterator[Receiver]:
    receiver = Receiver(address, tls)
    try:
        yield receiver
    finally:
        receiver.close()


class Certificate:
    """A certificate for some names, signed by itself."""

    def __init__(self, folder: Path, *names: str, days: int = 1) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=2))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([_general_name(one) for one in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self._path = folder / f"{certificate.serial_number}.pem"
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self._path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))

    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._path)
        return context

    def trust(self) -> ssl.SSLContext:
        """A client's context that trusts this certificate alone."""
        return ssl.create_default_context(cafile=str(self._path))


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
