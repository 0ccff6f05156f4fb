"""Signing in, and proving who calls."""

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime

from gpupool.accounts.model import (
    KEY_DIGITS,
    KEY_PREFIX,
    LOOKUP_DIGITS,
    SESSION_LIFETIME,
    SESSION_PREFIX,
    ApiKey,
    Customer,
    Login,
    NewKey,
    Principal,
    Scope,
    Session,
)
from gpupool.accounts.passwords import PasswordHasher
from gpupool.accounts.store import AccountStore
from gpupool.clock import Clock
from gpupool.errors import AlreadyExists, AuthRequired, Conflict, NotFound, StaleWrite, ValidationFailed
from gpupool.ids import new_id
from gpupool.limits.service import Limits
from gpupool.pages import Key, Page

_LOOKUP_TRIES = 5
_MIN_PASSWORD = 8


class Accounts:
    """``random_hex(n)`` yields 2n random hex digits from a source fit for secrets."""

    def __init__(
        self,
        *,
        store: AccountStore,
        passwords: PasswordHasher,
        limits: Limits,
        random_hex: Callable[[int], str],
        clock: Clock,
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._limits = limits
        self._random_hex = random_hex
        self._clock = clock

    def create_customer(self, *, email: str, password: str, name: str) -> Customer:
        """A new account. EMAIL_TAKEN when the address has one in any letter case."""
        local, at, domain = email.strip().partition("@")
        if not (local and at and domain) or len(email) > 254 or not email.isprintable():
            raise ValidationFailed("Give an e-mail address like name@example.com.", field="/email")
        if len(password) < _MIN_PASSWORD:
            raise ValidationFailed(f"Choose a password of at least {_MIN_PASSWORD} characters.", field="/password")
        customer = Customer(new_id(), email.strip(), name, self._passwords.hash(password), self._clock.now())
        try:
            self._store.add_customer(customer)
        except AlreadyExists as error:
            message = "This e-mail address has an account; sign in or use another address."
            raise Conflict(message, code="EMAIL_TAKEN", field="/email") from error
        return customer

    def login(self, *, email: str, password: str) -> Login:
        """A new session. LOGIN_FAILED for a wrong password and for an unknown address alike, after the same work."""
        self._limits.sign_in(email)
        customer = self._store.customer_by_email(email)
        if customer is None:
            self._passwords.hash(password)
        if customer is None or not self._passwords.verify(customer.password_hash, password):
            raise AuthRequired("E-mail address or password is wrong; check both and try again.", code="LOGIN_FAILED")
        now = self._clock.now()
        token = SESSION_PREFIX + self._random_hex(32)
        self._store.add_session(Session(_sha256(token), customer.id, now, now + SESSION_LIFETIME))
        return Login(token, now + SESSION_LIFETIME, customer)

    def logout(self, token: str) -> None:
        self._store.remove_session(_sha256(token))

    def by_session(self, token: str) -> Principal:
        """Who holds this session token; CUSTOMER_AUTH_REQUIRED when it is unknown or has expired."""
        session = self._store.session(_sha256(token))
        if session is None or session.expires_at <= self._clock.now():
            raise AuthRequired("The session is unknown or has expired; sign in again.")
        return Principal(session.owner_id, None)

    def by_api_key(self, plaintext: str) -> Principal:
        """Who holds this API key; API_KEY_INVALID when it is malformed, unknown or expired, API_KEY_REVOKED when revoked."""
        digits = plaintext.removeprefix(KEY_PREFIX)
        if digits == plaintext or len(digits) != KEY_DIGITS or not digits.isascii():
            raise _invalid_key()
        key = self._store.key(digits[:LOOKUP_DIGITS])
        if key is None or not hmac.compare_digest(key.sha256, _sha256(plaintext)):
            raise _invalid_key()
        if key.revoked_at is not None:
            raise AuthRequired("This API key was revoked; use another one.", code="API_KEY_REVOKED")
        if key.expires_at is not None and key.expires_at <= self._clock.now():
            raise AuthRequired("This API key has expired; create a new one.", code="API_KEY_INVALID")
        return Principal(key.customer_id, key.scopes, key.id)

    def customer(self, customer_id: str) -> Customer:
        customer = self._store.customer(customer_id)
        if customer is None:
            raise AuthRequired("This account is closed.")
        return customer

    def customer_by_email(self, email: str) -> Customer:
        """For operators; the customer door never tells whether an address has an account."""
        customer = self._store.customer_by_email(email)
        if customer is None:
            raise NotFound("No customer has this e-mail address; create one first.", code="CUSTOMER_NOT_FOUND", field="/email")
        return customer

    def create_key(self, customer_id: str, *, name: str, scopes: frozenset[Scope], expires_at: datetime | None) -> NewKey:
        """A new API key. A random lookup prefix that is taken is drawn again."""
        now = self._clock.now()
        if expires_at is not None and expires_at <= now:
            raise ValidationFailed("Choose an expiry in the future, or none.", field="/expires_at")
        for _ in range(_LOOKUP_TRIES):
            digits = self._random_hex(KEY_DIGITS // 2)
            plaintext = KEY_PREFIX + digits
            key = ApiKey(digits[:LOOKUP_DIGITS], customer_id, name, _sha256(plaintext), scopes, now, expires_at)
            try:
                self._store.add_key(key)
            except AlreadyExists:
                continue
            return NewKey(key, plaintext)
        raise RuntimeError("no free API key prefix found")

    def keys(self, customer_id: str, *, limit: int, key: Key | None) -> Page[ApiKey]:
        return self._store.keys(customer_id, limit=limit, key=key)

    def revoke_key(self, customer_id: str, key_id: str) -> ApiKey:
        """Ends a key at once; revoking it again changes nothing. API_KEY_NOT_FOUND for another customer's, too."""
        unknown = NotFound("You have no API key with this id; list your keys.", code="API_KEY_NOT_FOUND")
        lookup = key_id.removeprefix("key_")
        if len(lookup) != LOOKUP_DIGITS:
            raise unknown
        try:
            return self._store.revoke_key(lookup, customer_id=customer_id, at=self._clock.now())
        except StaleWrite as error:
            raise unknown from error


def _invalid_key() -> AuthRequired:
    return AuthRequired("The API key is not recognised; check it or create a new one.", code="API_KEY_INVALID")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
