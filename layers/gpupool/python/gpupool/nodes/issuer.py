"""The port that makes a node's short-lived keys."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

SESSION_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class NodeCredentials:
    """AWS keys; the secret parts stay out of representations and so out of logs."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: datetime


class CredentialIssuer(Protocol):
    def issue(self, node_id: str, queue_urls: tuple[str, ...]) -> NodeCredentials:
        """Keys that may receive from ``queue_urls`` (at least one) and do nothing else, for SESSION_SECONDS."""


def no_credentials(now: datetime) -> NodeCredentials:
    """What a node without queues gets; it asks again when they expire."""
    return NodeCredentials("", "", "", now + timedelta(seconds=SESSION_SECONDS))
