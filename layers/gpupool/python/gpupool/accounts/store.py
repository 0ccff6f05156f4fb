"""Where customers, sessions, tickets and API keys are kept. Every read that proves identity is one consistent read."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from gpupool.accounts.model import ApiKey, Customer, Session, Ticket
from gpupool.pages import Key, Page


class AccountStore(Protocol):
    def add_customer(self, customer: Customer, *, session: Session | None = None, ticket: Ticket | None = None) -> None:
        """The customer, its first session and the end of its invitation, or none of them.

        AlreadyExists when the e-mail address, in any letter case, has an account; StaleWrite when the ticket was used before.
        """

    def customer(self, customer_id: str) -> Customer | None: ...

    def customer_by_email(self, email: str) -> Customer | None: ...

    def update_customer(
        self,
        customer: Customer,
        *,
        session: Session | None = None,
        ended: Collection[str] = (),
        ticket: Ticket | None = None,
    ) -> None:
        """Password and sessions as in ``customer``, one version on, if the row still has the version of ``customer``.

        With it a new session begins, those in ``ended`` (SHA-256 of their tokens) end and the ticket is used up, or nothing
        happens: StaleWrite when customer or ticket changed since they were read.
        """

    def session(self, token_sha256: str) -> Session | None:
        """May answer an expired one: expiry is the caller's to check."""

    def remove_session(self, token_sha256: str) -> None:
        """Removing one that is gone is no error."""

    def add_ticket(self, ticket: Ticket) -> None: ...

    def ticket(self, token_sha256: str) -> Ticket | None:
        """May answer an expired one: expiry is the caller's to check."""

    def add_key(self, key: ApiKey) -> None:
        """AlreadyExists when the lookup prefix is taken, by whomever."""

    def key(self, lookup: str) -> ApiKey | None: ...

    def keys(self, customer_id: str, *, limit: int, key: Key | None) -> Page[ApiKey]:
        """A customer's keys, newest first, revoked ones too; a key made this moment may be missing."""

    def revoke_key(self, lookup: str, *, customer_id: str, at: datetime) -> ApiKey:
        """Notes the first revocation's time; StaleWrite when this customer has no such key."""
