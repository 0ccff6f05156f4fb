"""What a customer has, and what it was spent on.

The accounts and the entries are read one after the other, while transfers go on. Two rules make them agree to the last credit.
The balance is read before and after, until nothing was posted meanwhile. And a transfer is posted within the run of a function
from its time on, so that what is older than ``SETTLED_AFTER`` gets no more company, and a balance of then stays right.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TypeVar

from gpupool.clock import Clock
from gpupool.errors import AlreadyExists, StaleWrite, Unavailable, ValidationFailed
from gpupool.ids import new_id
from gpupool.ledger.decide import before, walk_back
from gpupool.ledger.model import Balance, Books, Line, Transfer, grant, moment_key, time_key
from gpupool.ledger.store import LedgerStore
from gpupool.pages import Key, Page

# No function runs longer than a minute; clocks differ by milliseconds.
SETTLED_AFTER = timedelta(minutes=5)
_TRIES = 5
_CARRIED = ("available", "held", "spent", "granted")

T = TypeVar("T")
# What was read, newest first, and the time key down to which it is complete.
Reading = tuple[T, Sequence[Transfer], str]


class Credits:
    def __init__(self, *, ledger: LedgerStore, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    def balance(self, customer_id: str) -> Balance:
        return self._ledger.balance(customer_id)

    def entries(self, customer_id: str, *, limit: int, key: Key | None) -> Page[Line]:
        """Transfers, newest first, each with the accounts as it left them.

        The key of the next page carries the accounts along once they are settled; until then that page starts from today's.
        """
        place, start = _opened(customer_id, key)
        if start is None:
            page, start = self._page_below_today(customer_id, limit, place)
        else:
            page = self._ledger.page(customer_id, limit=limit, key=place)
        lines, rest = walk_back(start, page.items)
        return Page(lines, self._carrying(page, rest))

    def between(self, customer_id: str, *, start: datetime, end: datetime) -> Iterator[Transfer]:
        """Transfers from ``start`` on and before ``end``, oldest first, read as they are asked for."""
        return self._ledger.between(customer_id, start=start, end=end)

    def since(self, customer_id: str, start: datetime) -> Books:
        """The accounts of now, and every transfer from ``start`` on that led to them."""
        settled = max(start, self._clock.now() - SETTLED_AFTER)
        older = tuple(self._ledger.between(customer_id, start=start, end=settled)) if start < settled else ()

        def read() -> Reading[tuple[Transfer, ...]]:
            fresh = tuple(self._ledger.between(customer_id, start=settled, end=None))
            return fresh, fresh, moment_key(settled)

        balance, fresh = self._at_once(customer_id, read)
        return Books(balance, older + fresh)

    def grant(self, customer_id: str, *, amount: int, note: str) -> Transfer:
        """Adds credits from outside; an operator's act, each call a new transfer."""
        if amount <= 0:
            raise ValidationFailed("A grant must be a positive number of credits.", field="/credits")
        transfer = grant(customer_id=customer_id, grant_id=new_id(), amount=amount, at=self._clock.now(), note=note)
        try:
            self._ledger.post(transfer)
        except StaleWrite as error:
            raise Unavailable("The account moved at this moment; nothing was granted. Try again.", code="TRY_AGAIN") from error
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

    def _page_below_today(self, customer_id: str, limit: int, place: Key | None) -> tuple[Page[Transfer], Balance]:
        """The page behind ``place``, and the accounts as its first entry left them, from today's."""

        def read() -> Reading[tuple[Page[Transfer], list[Transfer]]]:
            newer = self._down_to(customer_id, place) if place else []
            page = self._ledger.page(customer_id, limit=limit, key=place)
            complete_to = time_key(page.items[-1]) if page.next_key else ""
            return (page, newer), [*newer, *page.items], complete_to

        balance, (page, newer) = self._at_once(customer_id, read)
        return page, before(balance, newer)

    def _down_to(self, customer_id: str, place: Key) -> list[Transfer]:
        """Every transfer from ``place`` to the newest."""
        at = place["time_key"]
        start = datetime.fromisoformat(at.partition("#")[0])
        return [found for found in self._ledger.between(customer_id, start=start, end=None) if time_key(found) >= at]

    def _at_once(self, customer_id: str, read: Callable[[], Reading[T]]) -> tuple[Balance, T]:
        """The accounts and what ``read`` answers, as of one moment.

        A query may see one half of a transaction just before the other: so what was posted last must be among what was read,
        unless it is older than that.
        """
        balance = self._ledger.balance(customer_id)
        for _ in range(_TRIES):
            answer, transfers, complete_to = read()
            again = self._ledger.balance(customer_id)
            seen = again.latest < complete_to or again.latest in {"", *map(time_key, transfers)}
            if again.latest == balance.latest and seen:
                return balance, answer
            balance = again
        raise Unavailable("Credits move too fast to be told right now; send the request again.", code="TRY_AGAIN")

    def _carrying(self, page: Page[Transfer], rest: Balance) -> Key | None:
        if page.next_key is None or page.items[-1].created_at > self._clock.now() - SETTLED_AFTER:
            return page.next_key
        return page.next_key | {account: str(getattr(rest, account)) for account in _CARRIED}


def _opened(customer_id: str, key: Key | None) -> tuple[Key | None, Balance | None]:
    """The store's own part of a page's key, and the accounts that it carries, if it does."""
    if key is None:
        return None, None
    place = {name: value for name, value in key.items() if name not in _CARRIED}
    if not key.keys() >= set(_CARRIED):
        return place, None
    available, held, spent, granted = (int(key[name]) for name in _CARRIED)
    return place, Balance(customer_id, available, held, spent, granted)
