"""How the agent opens connections: verified TLS, short timeouts, no retries, no redirects, bounded answers."""

import contextlib
import ipaddress
from collections.abc import Iterator, Mapping
from typing import IO
from urllib.parse import urlsplit

import urllib3

from node_agent.errors import RecoverableError, RefusedError

_NO_RETRIES = urllib3.Retry(total=False, redirect=False)  # retry.py is the one retry layer


class InsecureUrlError(RefusedError):
    """Plain HTTP to another machine: keys and inputs would travel in the open."""


def new_pool() -> urllib3.PoolManager:
    """One pool per agent, shared by its threads. Certificates are verified against the system's authorities."""
    return urllib3.PoolManager(num_pools=8, maxsize=4, block=False, retries=_NO_RETRIES, cert_reqs="CERT_REQUIRED")


def require_safe_url(url: str) -> str:
    """``url`` when it is HTTPS, or HTTP to this very machine (the local stack)."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        return url
    raise InsecureUrlError(f"only https is spoken with other machines, not {parts.scheme}://{parts.hostname}")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextlib.contextmanager
def open_url(
    pool: urllib3.PoolManager,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    timeout: urllib3.Timeout,
    body: bytes | IO[bytes] | None = None,
) -> Iterator[urllib3.BaseHTTPResponse]:
    """The response, unread. Connection trouble, also while the caller reads, becomes ``RecoverableError``."""
    try:
        response = pool.request(
            method,
            require_safe_url(url),
            headers=dict(headers),
            body=body,
            timeout=timeout,
            redirect=False,
            retries=_NO_RETRIES,
            preload_content=False,
        )
    except urllib3.exceptions.HTTPError as error:
        raise RecoverableError(_reason(error)) from error
    try:
        yield response
    except urllib3.exceptions.HTTPError as error:
        raise RecoverableError(_reason(error)) from error
    finally:
        # An answer read to its end has already given its connection back; an unread rest would be taken for the next answer.
        response.close()


def _reason(error: Exception) -> str:
    # urllib3 repeats the whole URL in its messages, and a presigned one is a key.
    return f"connection failed ({type(error).__name__})"
