"""Signing in, choosing another password, and proving who calls."""

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime

from gpupool.accounts.decide import check_email, check_password, sha256, signed_in, with_password
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
from gpupool.errors import AlreadyExists, AuthRequired, Conflict, NotFound, StaleWrite, Unavailable, ValidationFailed
from gpupool.idempotency.service import Once
from gpupool.ids import new_id
from gpupool.limits.service import Limits
from gpupool.pages import Key, Page

_LOOKUP_TRIES = 5
_WRITE_TRIES = 10
_CREATE_KEY = "POST /api-keys"


class Accounts:
    """``random_hex(n)`` yields 2n random hex digits from a source fit for secrets; ``secret`` is this deployment's own."""

    def __init__(
        self,
        *,
        store: AccountStore,
        passwords: PasswordHasher,
        limits: Limits,
        once: Once,
        secret: Callable[[], bytes],
        random_hex: Callable[[int], str],
        clock: Clock,
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._limits = limits
        self._once = once
        self._secret = secret
        self._random_hex = random_hex
        self._clock = clock

    def create_customer(self, *, email: str, password: str, name: str) -> Customer:
        """A new account. EMAIL_TAKEN when the address has one in any letter case."""
        check_email(email)
        check_password(password, email=email)
        customer = Customer(new_id(), email.strip(), name, self._passwords.hash(password), self._clock.now())
        try:
            self._store.add_customer(customer)
        except AlreadyExists as error:
            raise email_taken() from error
        return customer

    def login(self, *, email: str, password: str) -> Login:
        """A new session. LOGIN_FAILED for a wrong password and for an unknown address alike, after the same work."""
        self._limits.sign_in(email)
        customer = self._store.customer_by_email(email)
        if customer is None:
            self._passwords.hash(password)
        if customer is None or not self._passwords.verify(customer.password_hash, password):
            raise _login_failed()
        return self._begin_session(customer)

    def change_password(self, customer_id: str, *, current: str, new: str, token: str) -> None:
        """Another password; every session but that of ``token`` ends. PASSWORD_WRONG when ``current`` is not the password."""
        for _ in range(_WRITE_TRIES):
            customer = self.customer(customer_id)
            self._limits.sign_in(customer.email)
            if not self._passwords.verify(customer.password_hash, current):
                raise ValidationFailed("This is not your current password.", code="PASSWORD_WRONG", field="/current_password")
            check_password(new, email=customer.email, field="/new_password")
            changed, ended = with_password(customer, self._passwords.hash(new), keep=sha256(token))
            try:
                self._store.update_customer(changed, ended=ended)
            except StaleWrite:
                continue
            return
        raise busy()

    def logout(self, token: str) -> None:
        self._store.remove_session(sha256(token))

    def by_session(self, token: str) -> Principal:
        """Who holds this session token; CUSTOMER_AUTH_REQUIRED when it is unknown or has expired."""
        session = self._store.session(sha256(token))
        if session is None or session.expires_at <= self._clock.now():
            raise AuthRequired("The session is unknown or has expired; sign in again.")
        return Principal(session.owner_id, None)

    def by_api_key(self, plaintext: str) -> Principal:
        """Who holds this API key; API_KEY_INVALID when it is malformed, unknown or expired, API_KEY_REVOKED when revoked."""
        digits = plaintext.removeprefix(KEY_PREFIX)
        if digits == plaintext or len(digits) != KEY_DIGITS or not digits.isascii():
            raise _invalid_key()
        key = self._store.key(digits[:LOOKUP_DIGITS])
        if key is None or not hmac.compare_digest(key.sha256, sha256(plaintext)):
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

    def create_key(
        self,
        customer_id: str,
        *,
        name: str,
        scopes: frozenset[Scope],
        expires_at: datetime | None,
        idempotency_key: str | None = None,
    ) -> NewKey:
        """A new API key, the same again for the same ``idempotency_key``. A lookup prefix that is taken is drawn again."""
        now = self._clock.now()
        asked = {"name": name, "scopes": sorted(scopes), "expires_at": expires_at}
        claim = self._once.claim(customer_id, _CREATE_KEY, idempotency_key, asked)
        if expires_at is not None and expires_at <= now and not claim.repeated:
            raise ValidationFailed("Choose an expiry in the future, or none.", field="/expires_at")
        for attempt in range(_LOOKUP_TRIES):
            digits = self._digits(None if idempotency_key is None else f"{customer_id}#{claim.resource_id}#{attempt}")
            plaintext = KEY_PREFIX + digits
            key = ApiKey(digits[:LOOKUP_DIGITS], customer_id, name, sha256(plaintext), scopes, now, expires_at)
            try:
                self._store.add_key(key)
            except AlreadyExists:
                made = self._store.key(key.lookup) if idempotency_key is not None else None
                if made is not None and made.customer_id == customer_id and made.sha256 == key.sha256:
                    return NewKey(made, plaintext, replayed=True)
                continue
            return NewKey(key, plaintext)
        raise RuntimeError("no free API key prefix found")

    def key(self, customer_id: str, key_id: str) -> ApiKey:
        """API_KEY_NOT_FOUND for another customer's, too."""
        key = self._store.key(_lookup_of(key_id))
        if key is None or key.customer_id != customer_id:
            raise _unknown_key()
        return key

    def keys(self, customer_id: str, *, limit: int, key: Key | None) -> Page[ApiKey]:
        return self._store.keys(customer_id, limit=limit, key=key)

    def revoke_key(self, customer_id: str, key_id: str) -> ApiKey:
        """Ends a key at once; revoking it again changes nothing. API_KEY_NOT_FOUND for another customer's, too."""
        try:
            return self._store.revoke_key(_lookup_of(key_id), customer_id=customer_id, at=self._clock.now())
        except StaleWrite as error:
            raise _unknown_key() from error

    def _begin_session(self, customer: Customer) -> Login:
        """A session for the customer whose password was just proven; LOGIN_FAILED when that has changed in the meantime."""
        login, session = new_session(customer, random_hex=self._random_hex, now=self._clock.now())
        latest: Customer | None = customer
        for _ in range(_WRITE_TRIES):
            if latest is None or latest.password_hash != customer.password_hash:
                raise _login_failed()
            changed, ended = signed_in(latest, session, now=session.signed_in_at)
            try:
                self._store.update_customer(changed, session=session, ended=ended)
            except StaleWrite:
                latest = self._store.customer(customer.id)
            else:
                return login
        raise busy()

    def _digits(self, name: str | None) -> str:
        """The digits of a key: random, or those that follow from ``name`` in this deployment and nowhere else."""
        if name is None:
            return self._random_hex(KEY_DIGITS // 2)
        return hmac.new(self._secret(), f"api-key\0{name}".encode(), hashlib.sha256).hexdigest()[:KEY_DIGITS]


def new_session(customer: Customer, *, random_hex: Callable[[int], str], now: datetime) -> tuple[Login, Session]:
    """What the customer is told of a fresh session, and what is kept of it."""
    token = SESSION_PREFIX + random_hex(32)
    session = Session(sha256(token), customer.id, now, now + SESSION_LIFETIME)
    return Login(token, session.expires_at, customer), session


def email_taken() -> Conflict:
    message = "This e-mail address has an account; sign in or use another address."
    return Conflict(message, code="EMAIL_TAKEN", field="/email")


def busy() -> Unavailable:
    return Unavailable("Others are changing this account at this moment; send it again.", code="TRY_AGAIN")


def _login_failed() -> AuthRequired:
    return AuthRequired("E-mail address or password is wrong; check both and try again.", code="LOGIN_FAILED")


def _lookup_of(key_id: str) -> str:
    """The lookup prefix in an API key's id; API_KEY_NOT_FOUND when it cannot be one."""
    lookup = key_id.removeprefix("key_")
    if len(lookup) != LOOKUP_DIGITS:
        raise _unknown_key()
    return lookup


def _unknown_key() -> NotFound:
    return NotFound("You have no API key with this id; list your keys.", code="API_KEY_NOT_FOUND")


def _invalid_key() -> AuthRequired:
    return AuthRequired("The API key is not recognised; check it or create a new one.", code="API_KEY_INVALID")
