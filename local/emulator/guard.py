"""Keeps web pages away from the emulator: who may control it may run code on this machine.

A page in the owner's browser reaches the loopback interface like any program. AWS is no such neighbour: its endpoints
are elsewhere and its keys unknown. Pages may use what they may use on AWS, the HTTP API and presigned URLs of S3; the
control planes are for programs only.
"""

from collections.abc import Mapping

API_PREFIX = "/_aws/execute-api/"
_LOOPBACK_NAMES = {"127.0.0.1", "localhost", "[::1]"}
_OWN_SITES = {"none", "same-origin"}


def refusal(*, method: str, path: str, query: str, headers: Mapping[str, str]) -> str | None:
    """Why this request is refused, or None. Header names are lower case.

    A foreign Host is a name that someone made point here (DNS rebinding); an Origin or a cross-site fetch is a page.
    """
    if not _is_loopback(headers.get("host", "")):
        return "this emulator answers to loopback names only"
    if _is_from_a_page(headers) and method != "OPTIONS" and not _is_for_pages(path, query, headers.get("host", "")):
        return "web pages may use the HTTP API and presigned URLs only"
    return None


def _is_loopback(host: str) -> bool:
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    return name in _LOOPBACK_NAMES or name.endswith(".localhost")


def _is_from_a_page(headers: Mapping[str, str]) -> bool:
    return "origin" in headers or headers.get("sec-fetch-site", "none") not in _OWN_SITES


def _is_for_pages(path: str, query: str, host: str) -> bool:
    if path.startswith(API_PREFIX) or ".execute-api." in host:
        return True
    return "X-Amz-Signature=" in query and "Action=" not in query
