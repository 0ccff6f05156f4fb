"""Invited customers: one account, its credits once, whatever is repeated or interrupted."""

from collections.abc import Callable
from typing import Any

import pytest

from gpupool.accounts.memory import MemoryAccountStore
from gpupool.accounts.tickets import Tickets
from gpupool.bootstrap import build_accounts, build_credits, build_tickets
from gpupool.clock import FixedClock
from gpupool.errors import CoreError, StaleWrite
from gpupool.ledger.memory import MemoryLedgerStore
from gpupool.ledger.model import Transfer
from gpupool.twins import MemoryPorts

EMAIL, PASSWORD = "Ada@example.com", "correct horse"


class PowerCut(Exception):
    pass


class FailingStore(MemoryAccountStore):
    """Dies instead of opening an account, as often as told."""

    cuts = 0

    def add_customer(self, *arguments: Any, **terms: Any) -> None:
        if self.cuts:
            self.cuts -= 1
            raise PowerCut
        super().add_customer(*arguments, **terms)


class BusyLedger(MemoryLedgerStore):
    """Others write at the same moment, as often as told."""

    others = 0

    def post(self, transfer: Transfer) -> None:
        if self.others:
            self.others -= 1
            raise StaleWrite(transfer.id)
        super().post(transfer)


class Office:
    def __init__(self) -> None:
        self.clock = FixedClock()
        self.ports = MemoryPorts(clock=self.clock)
        self.ledger = self.ports.ledger = BusyLedger(self.ports.world)
        self.store = self.ports.accounts = FailingStore(self.ports.world)
        self.tickets: Tickets = build_tickets(self.ports)
        self.accounts, self.credits = build_accounts(self.ports), build_credits(self.ports)

    def invite(self, credits: int = 100) -> str:
        return self.tickets.invite(email=EMAIL, name="Ada", credits=credits).token


@pytest.fixture
def office() -> Office:
    return Office()


def refused(call: Callable[..., object], *args: object, **terms: object) -> CoreError:
    with pytest.raises(CoreError) as caught:
        call(*args, **terms)
    return caught.value


def test_an_invitation_opens_an_account_with_its_credits_and_signs_in(office: Office) -> None:
    login = office.tickets.accept(office.invite(), password=PASSWORD)
    assert (login.customer.email, login.customer.name) == (EMAIL, "Ada")
    assert office.accounts.by_session(login.token).customer_id == login.customer.id
    assert office.accounts.login(email=EMAIL, password=PASSWORD).customer.id == login.customer.id
    assert office.credits.balance(login.customer.id).available == 100
    (entry,) = office.credits.entries(login.customer.id, limit=10, key=None).items
    assert (entry.transfer.amount, entry.transfer.note) == (100, "opening credits")


def test_the_invited_may_choose_the_name(office: Office) -> None:
    assert office.tickets.accept(office.invite(), password=PASSWORD, name="Countess").customer.name == "Countess"


def test_an_invitation_without_credits_opens_an_account_without_entries(office: Office) -> None:
    login = office.tickets.accept(office.invite(credits=0), password=PASSWORD)
    assert office.credits.entries(login.customer.id, limit=10, key=None).items == ()


def test_the_token_is_kept_nowhere_and_shown_once(office: Office) -> None:
    made = office.tickets.invite(email=EMAIL, name="Ada", credits=100)
    assert made.token.startswith("inv_")
    assert made.token not in repr(made) + repr(office.ports.world)


def test_used_expired_and_unknown_are_told_apart_by_nothing(office: Office) -> None:
    used = office.invite()
    office.tickets.accept(used, password=PASSWORD)
    expired = office.tickets.invite(email="bob@example.com", name="Bob", credits=1).token
    office.clock.advance(7 * 24 * 3600)
    errors = [refused(office.tickets.accept, token, password=PASSWORD) for token in (used, expired, "inv_" + "0" * 64, "")]
    assert {(error.status, error.code, error.message, error.details["field"]) for error in errors} == {
        (400, "INVITATION_INVALID", errors[0].message, "/token")
    }
    assert office.store.customer_by_email("bob@example.com") is None


def test_an_invitation_lasts_for_seven_days(office: Office) -> None:
    token = office.invite()
    office.clock.advance(7 * 24 * 3600 - 1)
    office.tickets.accept(token, password=PASSWORD)


def test_who_is_interrupted_does_it_again_and_gets_the_credits_once(office: Office) -> None:
    token = office.invite()
    office.store.cuts = 2
    for _ in range(2):
        with pytest.raises(PowerCut):
            office.tickets.accept(token, password="another password")
    login = office.tickets.accept(token, password=PASSWORD)
    assert office.credits.balance(login.customer.id).granted == 100
    assert office.accounts.by_session(login.token).customer_id == login.customer.id
    assert refused(office.accounts.login, email=EMAIL, password="another password").code == "LOGIN_FAILED"


def test_who_meets_others_at_the_ledger_tries_again_and_gets_the_credits_once(office: Office) -> None:
    token = office.invite()
    office.ledger.others = 1000
    error = refused(office.tickets.accept, token, password=PASSWORD)
    assert (error.status, error.code) == (503, "TRY_AGAIN")
    office.ledger.others = 2
    login = office.tickets.accept(token, password=PASSWORD)
    assert office.credits.balance(login.customer.id).granted == 100


def test_two_invitations_to_one_address_open_one_account_with_one_opening(office: Office) -> None:
    first, second = office.invite(), office.invite(credits=500)
    login = office.tickets.accept(first, password=PASSWORD)
    error = refused(office.tickets.accept, second, password="another password")
    assert (error.status, error.code) == (409, "EMAIL_TAKEN")
    assert office.credits.balance(login.customer.id).granted == 100
    assert sum(balance.granted for balance in office.ports.world.balances.values()) == 100


def test_who_has_an_account_is_not_invited(office: Office) -> None:
    office.accounts.create_customer(email="ADA@EXAMPLE.COM", password=PASSWORD, name="Ada")
    assert refused(office.invite).code == "EMAIL_TAKEN"


@pytest.mark.parametrize("password", ["short", "x" * 1025, "ada@EXAMPLE.com"])
def test_a_refused_password_keeps_the_invitation(office: Office, password: str) -> None:
    token = office.invite()
    error = refused(office.tickets.accept, token, password=password)
    assert (error.code, error.details["field"]) == ("VALIDATION_FAILED", "/password")
    assert office.ports.world.balances == {}
    office.tickets.accept(token, password=PASSWORD)


def test_an_invitation_needs_an_address(office: Office) -> None:
    assert refused(office.tickets.invite, email="nobody", name="x", credits=0).details["field"] == "/email"
