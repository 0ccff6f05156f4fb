"""What an address and a password must be, and how a customer looks after signing in and after choosing a password."""

import hashlib
from dataclasses import replace
from datetime import datetime

from gpupool.accounts.model import MAX_PASSWORD, MAX_SESSIONS, MIN_PASSWORD, Customer, Session, email_key
from gpupool.errors import ValidationFailed


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def check_email(email: str) -> None:
    """VALIDATION_FAILED unless it looks like an address."""
    local, at, domain = email.strip().partition("@")
    if not (local and at and domain) or len(email) > 254 or not email.isprintable():
        raise ValidationFailed("Give an e-mail address like name@example.com.", field="/email")


def check_password(password: str, *, email: str, field: str = "/password") -> None:
    """VALIDATION_FAILED unless it may become the password of the account with this address; ``field`` is where it was sent."""
    if len(password) < MIN_PASSWORD:
        raise ValidationFailed(f"Choose a password of at least {MIN_PASSWORD} characters.", field=field)
    if len(password) > MAX_PASSWORD:
        raise ValidationFailed(f"Choose a password of at most {MAX_PASSWORD} characters.", field=field)
    if email_key(password) == email_key(email):
        raise ValidationFailed("Choose a password that is not your e-mail address.", field=field)


def signed_in(customer: Customer, session: Session, *, now: datetime) -> tuple[Customer, frozenset[str]]:
    """The customer with one more session, and the sessions that end for it because there are too many."""
    live = {token: expires_at for token, expires_at in customer.sessions.items() if expires_at > now}
    by_age = sorted(live, key=lambda token: (live[token], token))
    ended = by_age[: max(0, len(by_age) - MAX_SESSIONS + 1)]
    kept = {token: live[token] for token in by_age[len(ended) :]}
    return replace(customer, sessions={**kept, session.token_sha256: session.expires_at}), frozenset(ended)


def with_password(customer: Customer, password_hash: str, *, keep: str | None = None) -> tuple[Customer, frozenset[str]]:
    """The customer with another password, and the sessions that end for it: all but ``keep``."""
    kept = {token: expires_at for token, expires_at in customer.sessions.items() if token == keep}
    return replace(customer, password_hash=password_hash, sessions=kept), frozenset(customer.sessions) - {keep or ""}
