"""An API key that is asked for twice with one Idempotency-Key is one key, though its plaintext is stored nowhere."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gpupool.accounts.model import ApiKey, NewKey, Scope
from gpupool.accounts.service import Accounts
from gpupool.bootstrap import build_accounts
from gpupool.clock import FixedClock
from gpupool.errors import Conflict, NotFound
from gpupool.twins import MemoryPorts

ADA, BOB = "c-ada", "c-bob"
SCOPES = frozenset({Scope.DATASET_WRITE, Scope.ARTIFACT_READ})


@pytest.fixture
def ports() -> MemoryPorts:
    return MemoryPorts(clock=FixedClock())


@pytest.fixture
def accounts(ports: MemoryPorts) -> Accounts:
    return build_accounts(ports)


def make(accounts: Accounts, *, owner: str = ADA, name: str = "laptop", key: str | None = "a-good-key") -> NewKey:
    return accounts.create_key(owner, name=name, scopes=SCOPES, expires_at=None, idempotency_key=key)


def test_a_repeat_answers_the_same_plaintext_which_is_stored_nowhere(accounts: Accounts, ports: MemoryPorts) -> None:
    first, again = make(accounts), make(accounts)
    assert (first.replayed, again.replayed) == (False, True)
    assert again == replace(first, replayed=True)
    assert accounts.by_api_key(again.plaintext).key_id == first.key.id
    assert len(accounts.keys(ADA, limit=10, key=None).items) == 1
    assert first.plaintext.removeprefix("sk_alpha_")[8:] not in repr(ports.world)


def test_other_customers_other_keys_and_no_key_make_other_api_keys(accounts: Accounts) -> None:
    made = [make(accounts), make(accounts, owner=BOB), make(accounts, key="another-key"), make(accounts, key=None)]
    made.append(make(accounts, key=None))
    assert len({new.plaintext for new in made}) == len(made)
    assert not any(new.replayed for new in made)


def test_another_deployment_makes_another_key(ports: MemoryPorts) -> None:
    here = make(build_accounts(ports))
    ports.world.keys.clear()
    ports.signing_secret = lambda: b"another secret"
    assert make(build_accounts(ports)).plaintext != here.plaintext


def test_another_request_under_the_same_key_is_refused(accounts: Accounts) -> None:
    make(accounts)
    with pytest.raises(Conflict) as caught:
        make(accounts, name="desktop")
    assert caught.value.code == "IDEMPOTENCY_CONFLICT"


def test_after_a_day_the_key_is_as_good_as_new(accounts: Accounts, ports: MemoryPorts) -> None:
    first = make(accounts)
    ports.clock.advance(24 * 3600 + 1)  # type: ignore[attr-defined]
    assert make(accounts).plaintext != first.plaintext


def test_who_was_interrupted_before_the_key_was_written_gets_the_one_that_was_meant(ports: MemoryPorts) -> None:
    first = make(build_accounts(ports))
    ports.world.keys.clear()
    again = make(build_accounts(ports))
    assert (again.plaintext, again.replayed) == (first.plaintext, False)


def test_a_taken_prefix_is_passed_over_and_a_repeat_finds_what_came_instead(ports: MemoryPorts) -> None:
    accounts = build_accounts(ports)
    wanted = make(accounts)
    ports.world.keys.clear()
    taken = ApiKey(wanted.key.lookup, BOB, "his", "ab" * 32, SCOPES, ports.clock.now())
    ports.accounts.add_key(taken)
    first, again = make(accounts), make(accounts)
    assert first.key.lookup != taken.lookup
    assert (again.plaintext, again.replayed) == (first.plaintext, True)
    assert ports.accounts.key(taken.lookup) == taken


def test_a_repeat_after_the_expiry_still_shows_the_key(accounts: Accounts, ports: MemoryPorts) -> None:
    soon = ports.clock.now() + timedelta(minutes=1)

    def ask() -> NewKey:
        return accounts.create_key(ADA, name="k", scopes=SCOPES, expires_at=soon, idempotency_key="a-good-key")

    first = ask()
    ports.clock.advance(61)  # type: ignore[attr-defined]
    assert ask() == replace(first, replayed=True)


def test_one_key_is_shown_to_its_owner_alone(accounts: Accounts) -> None:
    made = make(accounts)
    assert accounts.key(ADA, made.key.id) == made.key
    for owner, key_id in ((BOB, made.key.id), (ADA, "key_ffffffff"), (ADA, ""), (ADA, "key_" + "f" * 4000)):
        with pytest.raises(NotFound) as caught:
            accounts.key(owner, key_id)
        assert caught.value.code == "API_KEY_NOT_FOUND"
