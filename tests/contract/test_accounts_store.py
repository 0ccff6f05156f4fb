"""Accounts in memory and in DynamoDB answer alike."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gpupool.accounts.model import ApiKey, Customer, Purpose, Scope, Session, Ticket
from gpupool.accounts.store import AccountStore
from gpupool.errors import AlreadyExists, StaleWrite
from tests.contract.both import DynamoStores, Stores

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=12)
ADA = Customer("c-ada", "Ada@example.com", "Ada", "$argon2id$x", NOW)
SESSION = Session("cd" * 32, ADA.id, NOW, LATER)
OTHER = Session("ef" * 32, ADA.id, NOW, LATER)
INVITATION = Ticket("12" * 32, Purpose.INVITATION, ADA.id, ADA.email, NOW, NOW + timedelta(days=7), "Ada", 100)


@pytest.fixture
def tables() -> tuple[str, ...]:
    return ("customers", "keys")


@pytest.fixture
def store(stores: Stores) -> AccountStore:
    return stores.accounts


def a_key(lookup: str = "0a1b2c3d", *, customer_id: str = ADA.id, minute: int = 0) -> ApiKey:
    scopes = frozenset({Scope.DATASET_WRITE, Scope.ARTIFACT_READ})
    return ApiKey(lookup, customer_id, "laptop", "ab" * 32, scopes, NOW + timedelta(minutes=minute))


def test_a_customer_is_found_by_id_and_by_address_in_any_case(store: AccountStore) -> None:
    store.add_customer(ADA)
    assert store.customer(ADA.id) == ADA
    assert store.customer_by_email("aDA@EXAMPLE.com") == ADA
    assert store.customer_by_email("bob@example.com") is None
    assert store.customer("c-bob") is None


def test_an_address_has_one_account(store: AccountStore) -> None:
    store.add_customer(ADA)
    with pytest.raises(AlreadyExists):
        store.add_customer(Customer("c-other", "ADA@example.com", "Other", "h", NOW))
    assert store.customer("c-other") is None


def with_sessions(customer: Customer, *sessions: Session) -> Customer:
    return replace(customer, sessions={session.token_sha256: session.expires_at for session in sessions})


def test_a_session_is_found_until_it_is_removed(store: AccountStore) -> None:
    store.add_customer(with_sessions(ADA, SESSION), session=SESSION)
    assert store.session(SESSION.token_sha256) == SESSION
    store.remove_session(SESSION.token_sha256)
    store.remove_session(SESSION.token_sha256)
    assert store.session(SESSION.token_sha256) is None


def test_a_customer_changes_with_its_sessions_or_not_at_all(store: AccountStore) -> None:
    store.add_customer(with_sessions(ADA, SESSION), session=SESSION)
    signed_in = with_sessions(ADA, SESSION, OTHER)
    store.update_customer(signed_in, session=OTHER)
    assert store.customer(ADA.id) == replace(signed_in, version=1)

    renewed = replace(with_sessions(ADA, OTHER), password_hash="$argon2id$y")
    with pytest.raises(StaleWrite):
        store.update_customer(renewed, ended=[SESSION.token_sha256])
    assert store.session(SESSION.token_sha256) == SESSION

    store.update_customer(replace(renewed, version=1), ended=[SESSION.token_sha256, "0" * 64])
    assert store.customer(ADA.id) == replace(renewed, version=2)
    assert store.customer_by_email(ADA.email) == replace(renewed, version=2)
    assert store.session(SESSION.token_sha256) is None
    assert store.session(OTHER.token_sha256) == OTHER


def test_a_row_from_before_there_were_versions_can_be_signed_in_to(stores: Stores) -> None:
    if not isinstance(stores, DynamoStores):
        return
    row = {"id": ADA.id, "email": ADA.email, "name": ADA.name, "password_hash": ADA.password_hash}
    item = {name: {"S": value} for name, value in row.items()}
    item |= {"pk": {"S": f"customer#{ADA.id}"}, "created_at": {"S": NOW.isoformat()}}
    stores.client.put_item(TableName=f"{stores.prefix}customers", Item=item)
    assert stores.accounts.customer(ADA.id) == ADA
    stores.accounts.update_customer(with_sessions(ADA, SESSION), session=SESSION)
    assert stores.accounts.customer(ADA.id) == replace(with_sessions(ADA, SESSION), version=1)


def test_nobody_signs_in_to_an_account_that_is_not_there(store: AccountStore) -> None:
    with pytest.raises(StaleWrite):
        store.update_customer(with_sessions(ADA, SESSION), session=SESSION)
    assert store.session(SESSION.token_sha256) is None
    assert store.customer(ADA.id) is None


def test_an_invitation_opens_one_account(store: AccountStore) -> None:
    store.add_ticket(INVITATION)
    assert store.ticket(INVITATION.token_sha256) == INVITATION
    invited = with_sessions(ADA, SESSION)
    store.add_customer(invited, session=SESSION, ticket=INVITATION)
    assert store.customer_by_email(ADA.email) == invited
    assert store.session(SESSION.token_sha256) == SESSION
    assert store.ticket(INVITATION.token_sha256) is None

    with pytest.raises(StaleWrite):
        store.add_customer(Customer("c-bob", "bob@example.com", "Bob", "h", NOW), ticket=INVITATION)
    assert store.customer("c-bob") is None


def test_an_invitation_to_a_taken_address_stays(store: AccountStore) -> None:
    store.add_customer(Customer("c-other", "ADA@example.com", "Other", "h", NOW))
    store.add_ticket(INVITATION)
    with pytest.raises(AlreadyExists):
        store.add_customer(with_sessions(ADA, SESSION), session=SESSION, ticket=INVITATION)
    assert store.ticket(INVITATION.token_sha256) == INVITATION
    assert store.session(SESSION.token_sha256) is None


def test_a_reset_uses_up_its_ticket_or_changes_nothing(store: AccountStore) -> None:
    store.add_customer(ADA)
    reset = replace(INVITATION, purpose=Purpose.RESET, name="", credits=0, replaces_sha256="ab" * 32)
    store.add_ticket(reset)
    assert store.ticket(reset.token_sha256) == reset
    with pytest.raises(StaleWrite):
        store.update_customer(replace(ADA, version=7), ticket=reset)
    assert store.ticket(reset.token_sha256) == reset

    renewed = replace(ADA, password_hash="$argon2id$y")
    store.update_customer(renewed, ticket=reset)
    with pytest.raises(StaleWrite):
        store.update_customer(replace(ADA, version=1), ticket=reset)
    assert store.customer(ADA.id) == replace(renewed, version=1)


def test_a_key_is_found_by_its_prefix(store: AccountStore) -> None:
    store.add_key(a_key())
    assert store.key("0a1b2c3d") == a_key()
    assert store.key("ffffffff") is None


def test_a_prefix_belongs_to_the_first_who_takes_it(store: AccountStore) -> None:
    store.add_key(a_key())
    with pytest.raises(AlreadyExists):
        store.add_key(a_key(customer_id="c-bob"))
    assert store.key("0a1b2c3d") == a_key()


def test_keys_are_listed_newest_first_in_pages_without_sessions_or_strangers(store: AccountStore) -> None:
    for minute in range(5):
        store.add_key(a_key(f"0000000{minute}", minute=minute))
    store.add_key(a_key("ffffffff", customer_id="c-bob"))
    store.add_customer(with_sessions(ADA, SESSION), session=SESSION)
    store.add_ticket(INVITATION)
    seen: list[str] = []
    key = None
    for _ in range(3):
        page = store.keys(ADA.id, limit=2, key=key)
        seen += [found.lookup for found in page.items]
        key = page.next_key
    assert seen == ["00000004", "00000003", "00000002", "00000001", "00000000"]
    assert key is None


def test_the_last_full_page_says_that_it_is_the_last(store: AccountStore) -> None:
    store.add_key(a_key("00000001"))
    store.add_key(a_key("00000002", minute=1))
    assert store.keys(ADA.id, limit=2, key=None).next_key is None


def test_revoking_keeps_the_first_time(store: AccountStore) -> None:
    store.add_key(a_key())
    first = store.revoke_key("0a1b2c3d", customer_id=ADA.id, at=NOW)
    again = store.revoke_key("0a1b2c3d", customer_id=ADA.id, at=NOW + timedelta(hours=1))
    assert first.revoked_at == again.revoked_at == NOW
    assert store.key("0a1b2c3d") == first


@pytest.mark.parametrize("lookup", ["0a1b2c3d", "ffffffff"])
def test_nobody_revokes_a_key_that_is_not_theirs(store: AccountStore, lookup: str) -> None:
    store.add_key(a_key())
    with pytest.raises(StaleWrite):
        store.revoke_key(lookup, customer_id="c-bob", at=NOW)
    assert store.key("0a1b2c3d") == a_key()
