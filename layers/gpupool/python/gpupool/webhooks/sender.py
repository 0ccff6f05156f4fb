"""The port to receivers."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class SendError(StrEnum):
    """Why there is no answer that counts."""

    DNS_FAILED = "dns_failed"
    ADDRESS_REFUSED = "address_refused"  # the name leads to an address that is not public
    CONNECT_FAILED = "connect_failed"
    TLS_FAILED = "tls_failed"
    TIMED_OUT = "timed_out"
    BAD_ANSWER = "bad_answer"  # not HTTP
    REDIRECTED = "redirected"  # never followed: it would lead where nobody checked


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one request came to. ``status_code`` may stand beside an error: a redirect has both."""

    duration_ms: int
    status_code: int | None = None
    error: SendError | None = None
    retry_after_seconds: int | None = None

    @property
    def delivered(self) -> bool:
        return self.error is None and self.status_code is not None and 200 <= self.status_code < 300


class Sender(Protocol):
    def send(self, url: str, headers: dict[str, str], body: str) -> Outcome:
        """POSTs the body once; whatever goes wrong is an outcome, not an exception."""
