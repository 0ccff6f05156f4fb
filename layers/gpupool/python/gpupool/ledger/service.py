"""What a customer has, and what it was spent on."""

from contextlib import suppress

from gpupool.clock import Clock
from gpupool.errors import AlreadyExists, ValidationFailed
from gpupool.ids import new_id
from gpupool.ledger.model import Balance, Transfer, grant
from gpupool.ledger.store import LedgerStore
from gpupool.pages import Key, Page


class Credits:
    def __init__(self, *, ledger: LedgerStore, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    def balance(self, customer_id: str) -> Balance:
        return self._ledger.balance(customer_id)

    def entries(self, customer_id: str, *, limit: int, key: Key | None) -> Page[Transfer]:
        return self._ledger.page(customer_id, limit=limit, key=key)

    def grant(self, customer_id: str, *, amount: int, note: str) -> Transfer:
        """Adds credits from outside; an operator's act, each call a new transfer."""
        if amount <= 0:
            raise ValidationFailed("A grant must be a positive number of credits.", field="/credits")
        transfer = grant(customer_id=customer_id, grant_id=new_id(), amount=amount, at=self._clock.now(), note=note)
        self._ledger.post(transfer)
        return transfer

    def open_account(self, customer_id: str, *, amount: int) -> None:
        """The credits that an account begins with, once however often it is asked for. None when ``amount`` is 0."""
        if not amount:
            return
        opening = grant(
            customer_id=customer_id,
            grant_id=f"opening-{customer_id}",
            amount=amount,
            at=self._clock.now(),
            note="opening credits",
        )
        with suppress(AlreadyExists):
            self._ledger.post(opening)
