"""Who signs in, who calls, and what a leaked table would give away."""

import hashlib
import itertools
from datetime import timedelta

import pytest

from gpupool.accounts.memory import MemoryAccountStore
from gpupool.accounts.model import Customer, Principal, Scope
from gpupool.accounts.passwords import Argon2Hasher
from gpupool.accounts.service import Accounts
from gpupool.clock import FixedClock
from gpupool.errors import AuthRequired, Conflict, CoreError, Forbidden, NotFound, ValidationFailed
from gpupool.idempotency.memory import MemoryIdempotencyStore
from gpupool.idempotency.service import Once
from gpupool.world import World
from tests.factories import some_limits

PASSWORD = "correct horse"
SCOPES = frozenset({Scope.DATASET_WRITE, Scope.TRAINING_WRITE, Scope.ARTIFACT_READ})


class CountingHasher:
    """Counts the slow work, which is what a stopwatch outside would see."""

    def __init__(self) -> None:
        self.work = 0

    def hash(self, password: str) -> str:
        self.work += 1
        return f"hashed:{password}"

    def verify(self, password_hash: str, password: str) -> bool:
        self.work += 1
        return password_hash == f"hashed:{password}"


class Office:
    def __init__(self) -> None:
        self.world = World()
        self.clock = FixedClock()
        self.hasher = CountingHasher()
        self.drawn = itertools.count(1)
        self.accounts = Accounts(
            store=MemoryAccountStore(self.world),
            passwords=self.hasher,
            limits=some_limits(self.world, self.clock),
            once=Once(store=MemoryIdempotencyStore(self.world, self.clock), clock=self.clock),
            secret=lambda: b"a secret",
            random_hex=self.draw,
            clock=self.clock,
        )
        self.ada = self.accounts.create_customer(email="Ada@example.com", password=PASSWORD, name="Ada")

    def draw(self, count: int) -> str:
        return hashlib.sha256(str(next(self.drawn)).encode()).hexdigest()[: 2 * count]

    def key(self, **terms: object) -> str:
        made = self.accounts.create_key(
            self.ada.id,
            **({"name": "laptop", "scopes": SCOPES, "expires_at": None} | terms),  # type: ignore[arg-type]
        )
        return made.plaintext


@pytest.fixture
def office() -> Office:
    return Office()


def refused(call: object, *args: object, **terms: object) -> CoreError:
    with pytest.raises(CoreError) as caught:
        call(*args, **terms)  # type: ignore[operator]
    return caught.value


def test_a_customer_signs_in_with_any_spelling_of_the_address(office: Office) -> None:
    login = office.accounts.login(email=" ADA@Example.com ", password=PASSWORD)
    assert login.customer.id == office.ada.id
    assert login.token.startswith("gas_")
    assert office.accounts.by_session(login.token) == Principal(office.ada.id, None)


def test_wrong_password_and_unknown_address_are_told_apart_by_nothing(office: Office) -> None:
    office.hasher.work = 0
    wrong = refused(office.accounts.login, email="ada@example.com", password="wrong")
    work = office.hasher.work
    unknown = refused(office.accounts.login, email="bob@example.com", password="wrong")
    assert (wrong.status, wrong.code, wrong.message) == (401, "LOGIN_FAILED", unknown.message)
    assert unknown.code == wrong.code
    assert office.hasher.work == 2 * work == 2


def test_a_session_ends_after_twelve_hours(office: Office) -> None:
    login = office.accounts.login(email="ada@example.com", password=PASSWORD)
    office.clock.advance(12 * 3600 - 1)
    office.accounts.by_session(login.token)
    office.clock.advance(1)
    assert refused(office.accounts.by_session, login.token).code == "CUSTOMER_AUTH_REQUIRED"


def test_signing_out_ends_the_session_at_once(office: Office) -> None:
    login = office.accounts.login(email="ada@example.com", password=PASSWORD)
    office.accounts.logout(login.token)
    assert isinstance(refused(office.accounts.by_session, login.token), AuthRequired)


def test_an_api_key_looks_as_published_and_proves_its_owner(office: Office) -> None:
    made = office.accounts.create_key(office.ada.id, name="laptop", scopes=SCOPES, expires_at=None)
    assert len(made.plaintext) == 33
    assert made.plaintext.startswith("sk_alpha_")
    int(made.plaintext.removeprefix("sk_alpha_"), 16)
    assert office.accounts.by_api_key(made.plaintext) == Principal(office.ada.id, SCOPES, made.key.id)


def test_no_secret_is_stored_or_shown_by_accident(office: Office) -> None:
    login = office.accounts.login(email="ada@example.com", password=PASSWORD)
    made = office.accounts.create_key(office.ada.id, name="laptop", scopes=SCOPES, expires_at=None)
    stored = repr(list(office.world.keys.items()))
    assert login.token not in stored
    assert made.plaintext not in stored
    assert made.plaintext not in repr(made)
    assert login.token not in repr(login)
    assert "hashed:" not in repr(office.ada)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "sk_alpha_",
        "sk_live_" + "0" * 24,
        "sk_alpha_" + "0" * 24,
        "sk_alpha_" + "0" * 25,
        "sk_alpha_" + "é" * 24,
        "x" * 9000,
    ],
)
def test_what_is_no_key_of_ours_is_invalid(office: Office, key: str) -> None:
    office.key()
    error = refused(office.accounts.by_api_key, key)
    assert (error.status, error.code) == (401, "API_KEY_INVALID")


def test_the_right_prefix_alone_proves_nothing(office: Office) -> None:
    key = office.key()
    assert refused(office.accounts.by_api_key, key[:17] + "0" * 16).code == "API_KEY_INVALID"


def test_a_revoked_key_says_so(office: Office) -> None:
    made = office.accounts.create_key(office.ada.id, name="laptop", scopes=SCOPES, expires_at=None)
    office.accounts.revoke_key(office.ada.id, made.key.id)
    error = refused(office.accounts.by_api_key, made.plaintext)
    assert (error.status, error.code) == (401, "API_KEY_REVOKED")


def test_a_key_ends_when_it_was_said_to(office: Office) -> None:
    key = office.key(expires_at=office.clock.now() + timedelta(hours=1))
    office.accounts.by_api_key(key)
    office.clock.advance(3600)
    assert refused(office.accounts.by_api_key, key).code == "API_KEY_INVALID"


def test_a_key_that_would_be_born_expired_is_refused(office: Office) -> None:
    error = refused(office.accounts.create_key, office.ada.id, name="k", scopes=SCOPES, expires_at=office.clock.now())
    assert isinstance(error, ValidationFailed)
    assert error.details["field"] == "/expires_at"


def test_a_taken_prefix_is_drawn_again(office: Office) -> None:
    first = office.key()
    office.drawn = itertools.count(int(next(office.drawn)) - 1)
    second = office.key()
    assert first[:17] != second[:17]
    assert office.accounts.by_api_key(first).key_id != office.accounts.by_api_key(second).key_id


def test_a_source_that_always_draws_the_same_is_given_up_on(office: Office) -> None:
    stuck = Accounts(
        store=MemoryAccountStore(office.world),
        passwords=office.hasher,
        limits=some_limits(office.world, office.clock),
        once=Once(store=MemoryIdempotencyStore(office.world, office.clock), clock=office.clock),
        secret=lambda: b"a secret",
        random_hex=lambda count: "a" * 2 * count,
        clock=office.clock,
    )
    stuck.create_key(office.ada.id, name="k", scopes=SCOPES, expires_at=None)
    with pytest.raises(RuntimeError, match="prefix"):
        stuck.create_key(office.ada.id, name="k", scopes=SCOPES, expires_at=None)


@pytest.mark.parametrize("key_id", ["key_ffffffff", "ffffffff", "key_", "", "key_" + "f" * 4000])
def test_revoking_what_is_not_there_finds_nothing(office: Office, key_id: str) -> None:
    error = refused(office.accounts.revoke_key, office.ada.id, key_id)
    assert isinstance(error, NotFound)
    assert error.code == "API_KEY_NOT_FOUND"


def test_a_stranger_cannot_revoke_or_list_a_key(office: Office) -> None:
    made = office.accounts.create_key(office.ada.id, name="laptop", scopes=SCOPES, expires_at=None)
    assert refused(office.accounts.revoke_key, "c-bob", made.key.id).code == "API_KEY_NOT_FOUND"
    assert office.accounts.keys("c-bob", limit=10, key=None).items == ()
    office.accounts.by_api_key(made.plaintext)


def test_an_address_opens_one_account(office: Office) -> None:
    error = refused(office.accounts.create_customer, email="ADA@example.com", password=PASSWORD, name="Other")
    assert isinstance(error, Conflict)
    assert (error.code, error.details["field"]) == ("EMAIL_TAKEN", "/email")


@pytest.mark.parametrize(
    ("email", "password", "field"),
    [
        ("nobody", PASSWORD, "/email"),
        ("@example.com", PASSWORD, "/email"),
        ("a@", PASSWORD, "/email"),
        ("a\n@example.com", PASSWORD, "/email"),
        ("a@example.com", "short", "/password"),
    ],
)
def test_an_account_needs_an_address_and_a_password(office: Office, email: str, password: str, field: str) -> None:
    error = refused(office.accounts.create_customer, email=email, password=password, name="x")
    assert isinstance(error, ValidationFailed)
    assert error.details["field"] == field


def test_a_session_whose_account_is_gone_opens_nothing(office: Office) -> None:
    assert refused(office.accounts.customer, "c-gone").code == "CUSTOMER_AUTH_REQUIRED"


@pytest.mark.parametrize(
    ("held", "asked", "granted"),
    [
        ({Scope.DATASET_WRITE}, Scope.DATASET_READ, True),
        ({Scope.TRAINING_WRITE}, Scope.TRAINING_READ, True),
        ({Scope.DATASET_READ}, Scope.DATASET_WRITE, False),
        ({Scope.DATASET_WRITE}, Scope.TRAINING_READ, False),
        ({Scope.TRAINING_WRITE}, Scope.ARTIFACT_READ, False),
        (set(), Scope.USAGE_READ, False),
    ],
)
def test_a_write_scope_implies_its_own_read_scope_and_nothing_else(held: set[Scope], asked: Scope, granted: bool) -> None:
    principal = Principal("c-ada", frozenset(held), "key_1")
    if granted:
        principal.require(asked)
        return
    with pytest.raises(Forbidden) as caught:
        principal.require(asked)
    assert caught.value.code == "API_KEY_SCOPE_DENIED"
    assert caught.value.details["required_scope"] == asked


def test_a_session_may_do_everything() -> None:
    for scope in Scope:
        Principal("c-ada", None).require(scope)


def test_passwords_are_kept_as_argon2id() -> None:
    hasher = Argon2Hasher()
    kept = hasher.hash(PASSWORD)
    assert kept.startswith("$argon2id$")
    assert hasher.verify(kept, PASSWORD)
    assert not hasher.verify(kept, "wrong")
    assert not hasher.verify("not a hash", PASSWORD)


def test_a_customer_does_not_print_the_hash() -> None:
    customer = Customer("c", "a@b.c", "A", "secret-hash", FixedClock().now())
    assert "secret-hash" not in repr(customer)
