"""Where the ledger is kept. Holds, debits and releases are written by transitions, together with what they pay for.

Every reading is consistent: it sees all that was posted before it began.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from gpupool.ledger.model import Balance, Transfer
from gpupool.pages import Key, Page


class LedgerStore(Protocol):
    def balance(self, customer_id: str) -> Balance:
        """A customer's accounts, with the key of what was posted last; all zero before the first grant."""

    def post(self, transfer: Transfer) -> None:
        """Writes a transfer that stands alone, with the balance, at once.

        AlreadyExists when its id was posted before; StaleWrite when an account does not cover it, or moved at that moment.
        """

    def page(self, customer_id: str, *, limit: int, key: Key | None) -> Page[Transfer]:
        """Transfers, newest first."""

    def between(self, customer_id: str, *, start: datetime, end: datetime | None) -> Iterator[Transfer]:
        """Transfers from ``start`` on and before ``end``, oldest first, read as they are asked for; without ``end``, all that
        follow."""
