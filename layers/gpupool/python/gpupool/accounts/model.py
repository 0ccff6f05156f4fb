"""Who a customer is, and what proves that a request is theirs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from gpupool.errors import Forbidden

SESSION_LIFETIME = timedelta(hours=12)
SESSION_PREFIX = "gas_"
# A sign-in beyond this ends the session that would have ended first.
MAX_SESSIONS = 50
MIN_PASSWORD = 8
MAX_PASSWORD = 1024
KEY_PREFIX = "sk_alpha_"
# Of a key's 24 hex digits the first 8 are public: they find the row. The other 16 (64 bits) are the secret.
LOOKUP_DIGITS = 8
KEY_DIGITS = 24


class Scope(StrEnum):
    DATASET_WRITE = "dataset:write"
    DATASET_READ = "dataset:read"
    TRAINING_WRITE = "training:write"
    TRAINING_READ = "training:read"
    ARTIFACT_READ = "artifact:read"
    USAGE_READ = "usage:read"
    WEBHOOK_WRITE = "webhook:write"


# Who may write may read what was written.
_IMPLIED = {Scope.DATASET_WRITE: Scope.DATASET_READ, Scope.TRAINING_WRITE: Scope.TRAINING_READ}


class Purpose(StrEnum):
    """What a ticket opens."""

    INVITATION = "invitation"
    RESET = "reset"


TICKET_LIFETIME = {Purpose.INVITATION: timedelta(days=7), Purpose.RESET: timedelta(hours=24)}
TICKET_PREFIX = {Purpose.INVITATION: "inv_", Purpose.RESET: "rst_"}


@dataclass(frozen=True, slots=True)
class Customer:
    """``email`` is as the customer writes it; uniqueness goes by ``email_key``.

    ``sessions`` are the sign-ins that a new password has to end, by their token's SHA-256 (hex), each with its expiry; some
    may be signed out or expired already. ``version`` counts the changes of password and sessions.
    """

    id: str
    email: str
    name: str
    password_hash: str = field(repr=False)
    created_at: datetime
    sessions: Mapping[str, datetime] = field(default_factory=dict, repr=False)
    version: int = 0


@dataclass(frozen=True, slots=True)
class Session:
    """A portal sign-in, found by the SHA-256 (hex) of its token; the token itself is stored nowhere."""

    token_sha256: str
    owner_id: str
    signed_in_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Ticket:
    """A right to choose a password once, found by the SHA-256 (hex) of its token; the token itself is stored nowhere.

    ``owner_id`` is the customer whom it lets in; for an invitation the one that will be created. ``credits`` open an invited
    account. ``replaces_sha256`` is of the password hash that a reset replaces: once that has changed, the ticket is void.
    """

    token_sha256: str
    purpose: Purpose
    owner_id: str
    email: str
    issued_at: datetime
    expires_at: datetime
    name: str = ""
    credits: int = 0
    replaces_sha256: str = ""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key, found by ``lookup``; of the plaintext only the SHA-256 (hex) is stored."""

    lookup: str
    customer_id: str
    name: str
    sha256: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def id(self) -> str:
        return f"key_{self.lookup}"

    @property
    def hint(self) -> str:
        """What may be shown of the key, so that its owner recognises it."""
        return f"{KEY_PREFIX}{self.lookup}"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls. ``scopes`` is None for a session: the customer in person may do everything."""

    customer_id: str
    scopes: frozenset[Scope] | None
    key_id: str | None = None

    def require(self, scope: Scope) -> None:
        """API_KEY_SCOPE_DENIED unless the key carries ``scope`` or one that implies it."""
        if self.scopes is None or scope in self.scopes:
            return
        if any(_IMPLIED.get(held) is scope for held in self.scopes):
            return
        raise Forbidden(
            f"This API key lacks the scope {scope}; create a key that has it.",
            code="API_KEY_SCOPE_DENIED",
            details={"required_scope": str(scope)},
        )


@dataclass(frozen=True, slots=True)
class Login:
    """A fresh session; ``token`` is told to the customer once."""

    token: str = field(repr=False)
    expires_at: datetime
    customer: Customer


@dataclass(frozen=True, slots=True)
class NewKey:
    """A fresh API key; ``plaintext`` is told to the customer once, and to whoever repeats that request: ``replayed``."""

    key: ApiKey
    plaintext: str = field(repr=False)
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class NewTicket:
    """A fresh ticket; ``token`` is told to the operator once."""

    ticket: Ticket
    token: str = field(repr=False)


def email_key(email: str) -> str:
    """The form that decides whether two addresses are the same account."""
    return email.strip().casefold()
