"""Choosing another password, and which sessions that ends."""

from collections.abc import Callable
from typing import Any

import pytest

from gpupool.accounts.memory import MemoryAccountStore
from gpupool.accounts.model import MAX_SESSIONS, Customer, Login, Scope
from gpupool.bootstrap import build_accounts, build_tickets
from gpupool.clock import FixedClock
from gpupool.errors import AuthRequired, CoreError, ValidationFailed
from gpupool.settings import Settings
from gpupool.twins import MemoryPorts

EMAIL, OLD, NEW = "ada@example.com", "correct horse", "battery staple"


class InterruptedStore(MemoryAccountStore):
    """Lets others act between the last read and a customer's next write."""

    meanwhile: Callable[[], object] | None = None

    def update_customer(self, *arguments: Any, **terms: Any) -> None:
        act, self.meanwhile = self.meanwhile, None
        if act is not None:
            act()
        super().update_customer(*arguments, **terms)


class Office:
    def __init__(self) -> None:
        self.ports = MemoryPorts(clock=FixedClock(), settings=Settings(logins_per_minute=1000))
        self.store = self.ports.accounts = InterruptedStore(self.ports.world)
        self.accounts = build_accounts(self.ports)
        self.ada = self.accounts.create_customer(email=EMAIL, password=OLD, name="Ada")

    def login(self, password: str = OLD) -> Login:
        return self.accounts.login(email=EMAIL, password=password)

    def change(self, login: Login, *, current: str = OLD, new: str = NEW) -> None:
        self.accounts.change_password(self.ada.id, current=current, new=new, token=login.token)

    def lives(self, login: Login) -> bool:
        try:
            return self.accounts.by_session(login.token).customer_id == self.ada.id
        except AuthRequired:
            return False


@pytest.fixture
def office() -> Office:
    return Office()


def refused(call: Callable[..., object], *args: object, **terms: object) -> CoreError:
    with pytest.raises(CoreError) as caught:
        call(*args, **terms)
    return caught.value


def test_a_new_password_ends_every_session_but_the_one_that_chose_it(office: Office) -> None:
    mine, *others = (office.login() for _ in range(3))
    office.change(mine)
    assert office.lives(mine)
    assert not any(office.lives(other) for other in others)
    assert refused(office.login).code == "LOGIN_FAILED"
    assert office.lives(office.login(NEW))


def test_the_sessions_and_keys_of_others_and_own_keys_go_on(office: Office) -> None:
    bob = office.accounts.create_customer(email="bob@example.com", password=OLD, name="Bob")
    his = office.accounts.login(email="bob@example.com", password=OLD)
    key = office.accounts.create_key(office.ada.id, name="k", scopes=frozenset(Scope), expires_at=None)
    office.change(office.login())
    assert office.accounts.by_session(his.token).customer_id == bob.id
    assert office.accounts.by_api_key(key.plaintext).customer_id == office.ada.id


def test_a_wrong_current_password_changes_nothing_and_counts_like_a_sign_in(office: Office) -> None:
    mine, other = office.login(), office.login()
    wrong = refused(office.change, mine, current="guessed")
    assert (wrong.status, wrong.code, wrong.details["field"]) == (400, "PASSWORD_WRONG", "/current_password")
    assert office.lives(other)
    office.login()

    few = Office()
    few.ports.settings = Settings(logins_per_minute=3)
    few.accounts = build_accounts(few.ports)
    session = few.login()
    guesses = [refused(few.change, session, current="guessed") for _ in range(3)]
    assert [guess.code for guess in guesses] == ["PASSWORD_WRONG", "PASSWORD_WRONG", "RATE_LIMITED"]


@pytest.mark.parametrize("new", ["short", "x" * 1025, "ADA@example.com", " ada@example.com"])
def test_a_new_password_is_checked_like_the_first_one(office: Office, new: str) -> None:
    error = refused(office.change, office.login(), new=new)
    assert isinstance(error, ValidationFailed)
    assert error.details["field"] == "/new_password"
    first = refused(office.accounts.create_customer, email=EMAIL, password=new, name="x")
    assert (first.message, first.details["field"]) == (error.message, "/password")


def test_a_session_that_begins_while_the_password_changes_does_not_survive_it(office: Office) -> None:
    mine = office.login()
    begun: list[Login] = []
    office.store.meanwhile = lambda: begun.append(office.login())
    office.change(mine)
    assert begun
    assert not office.lives(begun[0])
    assert office.lives(mine)


def test_a_sign_in_that_is_overtaken_by_a_new_password_is_refused(office: Office) -> None:
    mine = office.login()
    office.store.meanwhile = lambda: office.change(mine)
    assert refused(office.login).code == "LOGIN_FAILED"
    customer = office.store.customer(office.ada.id)
    assert customer is not None
    assert len(customer.sessions) == 1


def test_two_sign_ins_at_one_moment_both_hold(office: Office) -> None:
    begun: list[Login] = []
    office.store.meanwhile = lambda: begun.append(office.login())
    begun.append(office.login())
    assert [office.lives(login) for login in begun] == [True, True]
    office.change(begun[0])
    assert [office.lives(login) for login in begun] == [True, False]


def test_of_two_changes_at_one_moment_one_is_told_that_its_password_is_not_current(office: Office) -> None:
    mine = office.login()
    office.store.meanwhile = lambda: office.change(mine, new="the other one")
    assert refused(office.change, mine).code == "PASSWORD_WRONG"
    office.login("the other one")


def test_an_account_that_never_stands_still_asks_to_come_back(office: Office) -> None:
    class Restless(MemoryAccountStore):
        def update_customer(self, customer: Customer, **terms: Any) -> None:
            super().update_customer(customer)
            super().update_customer(customer, **terms)

    office.ports.accounts = Restless(office.ports.world)  # type: ignore[assignment]
    error = refused(build_accounts(office.ports).login, email=EMAIL, password=OLD)
    assert (error.status, error.code) == (503, "TRY_AGAIN")


def test_the_oldest_session_ends_when_there_are_too_many(office: Office) -> None:
    logins = []
    for _ in range(MAX_SESSIONS + 1):
        logins.append(office.login())
        office.ports.clock.advance(1)  # type: ignore[attr-defined]
    assert [office.lives(login) for login in logins] == [False] + [True] * MAX_SESSIONS


def test_sessions_that_have_expired_are_forgotten_at_the_next_sign_in(office: Office) -> None:
    office.login()
    office.ports.clock.advance(12 * 3600)  # type: ignore[attr-defined]
    office.login()
    customer = office.store.customer(office.ada.id)
    assert customer is not None
    assert len(customer.sessions) == 1


def test_being_locked_out_ends_password_and_sessions_until_the_token_is_used(office: Office) -> None:
    tickets = build_tickets(office.ports)
    before = office.login()
    locked = tickets.lock_out("ADA@example.com")
    assert not office.lives(before)
    assert refused(office.login).code == "LOGIN_FAILED"
    assert locked.token.startswith("rst_")
    assert locked.token not in repr(locked) + repr(office.ports.world)

    signed_in = tickets.reset_password(locked.token, password=NEW)
    assert office.lives(signed_in)
    assert office.lives(office.login(NEW))
    assert refused(tickets.reset_password, locked.token, password=NEW).code == "RESET_TOKEN_INVALID"


def test_a_reset_token_ends_with_its_day_and_with_the_next_password(office: Office) -> None:
    tickets = build_tickets(office.ports)
    first, second = tickets.lock_out(EMAIL), tickets.lock_out(EMAIL)
    unknown = refused(tickets.reset_password, "rst_" + "0" * 64, password=NEW)
    replaced = refused(tickets.reset_password, first.token, password=NEW)
    office.ports.clock.advance(24 * 3600)  # type: ignore[attr-defined]
    expired = refused(tickets.reset_password, second.token, password=NEW)
    assert unknown.status == 400
    assert {(error.code, error.message) for error in (unknown, replaced, expired)} == {(unknown.code, unknown.message)}


def test_a_reset_password_is_checked_and_a_refusal_keeps_the_token(office: Office) -> None:
    tickets = build_tickets(office.ports)
    locked = tickets.lock_out(EMAIL)
    error = refused(tickets.reset_password, locked.token, password=EMAIL)
    assert (error.code, error.details["field"]) == ("VALIDATION_FAILED", "/new_password")
    tickets.reset_password(locked.token, password=NEW)


def test_of_two_resets_at_one_moment_one_holds(office: Office) -> None:
    tickets = build_tickets(office.ports)
    locked = tickets.lock_out(EMAIL)
    office.store.meanwhile = lambda: tickets.reset_password(locked.token, password="the other one")
    assert refused(tickets.reset_password, locked.token, password=NEW).code == "RESET_TOKEN_INVALID"
    office.login("the other one")


def test_nobody_is_locked_out_who_is_not_there(office: Office) -> None:
    assert refused(build_tickets(office.ports).lock_out, "bob@example.com").code == "CUSTOMER_NOT_FOUND"


def test_an_invitation_resets_nothing_and_a_reset_invites_nobody(office: Office) -> None:
    tickets = build_tickets(office.ports)
    locked = tickets.lock_out(EMAIL)
    invited = tickets.invite(email="bob@example.com", name="Bob", credits=0)
    assert refused(tickets.accept, locked.token, password=NEW).code == "INVITATION_INVALID"
    assert refused(tickets.reset_password, invited.token, password=NEW).code == "RESET_TOKEN_INVALID"
