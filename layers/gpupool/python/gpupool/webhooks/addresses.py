"""Where a webhook may lead: to the public internet by HTTPS, and nowhere else.

A customer names the URL and we make the request, so without these checks anybody could make the platform talk to its own
metadata service, or to whatever else only it can reach. Names are resolved, and their addresses checked, at each delivery.
"""

import ipaddress
import re
import socket
from urllib.parse import SplitResult, urlsplit

from gpupool.errors import ValidationFailed

MAX_URL = 2_048
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# IANA's special-purpose registries, as they concern destinations, and one address where a cloud serves its machines.
_SPECIAL_V4 = tuple(
    ipaddress.IPv4Network(block)
    for block in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
        *("192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24"),
        *("168.63.129.16/32", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    )
)
# Only global unicast is public; within it these are not. Mapped, NAT64, local and link-local addresses lie outside.
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_SPECIAL_V6 = tuple(
    ipaddress.IPv6Network(block) for block in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
_LOCAL_NAMES = ("localhost", "local", "internal", "home.arpa", "lan", "intranet", "corp", "home")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*\.?")


def is_public(address: Address) -> bool:
    """Whether the address belongs to the internet at large."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in block for block in _SPECIAL_V4)
    # A zone names a link of this machine.
    return address.scope_id is None and address in _GLOBAL_V6 and not any(address in block for block in _SPECIAL_V6)


def check_url(url: str, *, insecure_hosts: frozenset[str] = frozenset()) -> str:
    """The URL in its normal spelling; WEBHOOK_INVALID_URL when it is not public HTTPS. Asks no name server.

    ``insecure_hosts`` are exempt, by HTTP too: receivers on a developer's machine, where the deployment is local.
    """
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise _refused("must be at most 2048 printable ASCII characters without spaces or backslashes")
    parts, host, port = _split(url)
    if host not in insecure_hosts:
        _check_public(parts, host, port)
    elif parts.scheme not in ("http", "https"):
        raise _refused("must begin with https://")
    shown = f"[{host}]" if ":" in host else host
    place = shown if port is None else f"{shown}:{port}"
    return parts._replace(netloc=place, path=parts.path or "/", fragment="").geturl()


def _split(url: str) -> tuple[SplitResult, str, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _refused("is not a URL") from error
    host = (parts.hostname or "").rstrip(".")
    if not host or ("[" in parts.netloc) != (":" in host):
        raise _refused("names no host")
    if "@" in parts.netloc or parts.fragment or "#" in url:
        raise _refused("must not carry credentials or a fragment")
    return parts, host, port


def _check_public(parts: SplitResult, host: str, port: int | None) -> None:
    if parts.scheme != "https":
        raise _refused("must begin with https://")
    if port is not None and port != 443 and port < 1_024:
        raise _refused("must use port 443 or one above 1023")
    literal = literal_address(host)
    if literal is not None:
        if not is_public(literal):
            raise _refused("leads to an address that is not public")
        return
    labels = host.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels) or len(host) > 253:
        raise _refused("names no public host")
    if any(host == name or host.endswith(f".{name}") for name in _LOCAL_NAMES):
        raise _refused("names a host of a local network")


def literal_address(host: str) -> Address | None:
    """The address that ``host`` spells, also as resolvers read 127.1, 0x7f.1 or 2130706433; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    if not _NUMERIC.fullmatch(host):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host.rstrip(".")))
    except OSError as error:
        raise _refused("names no public host") from error


def _refused(why: str) -> ValidationFailed:
    return ValidationFailed(f"The webhook's URL {why}; use a public HTTPS URL.", code="WEBHOOK_INVALID_URL", field="/url")
