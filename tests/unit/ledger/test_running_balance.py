"""Each entry with the balance that it left, while credits move on."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpupool.clock import FixedClock
from gpupool.errors import Unavailable
from gpupool.ledger.memory import MemoryLedgerStore
from gpupool.ledger.model import Balance, EntryKind, Transfer, grant, hold
from gpupool.ledger.service import SETTLED_AFTER, Credits
from gpupool.pages import Key, Page
from gpupool.world import World
from tests.support.postings import NOW, forward, life, wishes

ADA = "ada"
SECOND = timedelta(seconds=1)


def credits_over(ledger: MemoryLedgerStore) -> Credits:
    return Credits(ledger=ledger, clock=FixedClock(NOW))


def a_grant(number: int, *, at: datetime = NOW, amount: int = 10) -> Transfer:
    return grant(customer_id=ADA, grant_id=f"g-{number}", amount=amount, at=at)


class Interrupted(MemoryLedgerStore):
    """A ledger that others write to while it is read: ``meanwhile`` runs before every query."""

    def __init__(self, meanwhile: Callable[[MemoryLedgerStore], None]) -> None:
        super().__init__(World())
        self._meanwhile = meanwhile

    def page(self, customer_id: str, *, limit: int, key: Key | None) -> Page[Transfer]:
        self._meanwhile(self)
        return super().page(customer_id, limit=limit, key=key)

    def between(self, customer_id: str, *, start: datetime, end: datetime | None) -> Iterator[Transfer]:
        self._meanwhile(self)
        return super().between(customer_id, start=start, end=end)


class HalfSeen(MemoryLedgerStore):
    """A ledger whose first query misses what was posted last, though the balance has it already."""

    queries = 0

    def page(self, customer_id: str, *, limit: int, key: Key | None) -> Page[Transfer]:
        self.queries += 1
        page = super().page(customer_id, limit=limit + 1, key=key)
        first = 1 if self.queries == 1 else 0
        return Page(page.items[first : first + limit], page.next_key)


def test_an_entry_shows_what_it_left() -> None:
    ledger = MemoryLedgerStore(World())
    ledger.post(a_grant(1, at=NOW - 2 * SECOND, amount=100))
    ledger.post(hold(customer_id=ADA, job_id="j", amount=30, at=NOW - SECOND))
    ledger.post(Transfer("debit#j.0", ADA, EntryKind.DEBIT, 12, NOW))
    lines = credits_over(ledger).entries(ADA, limit=10, key=None).items
    assert [(line.transfer.kind, line.after) for line in lines] == [
        (EntryKind.DEBIT, Balance(ADA, available=70, held=18, spent=12, granted=100)),
        (EntryKind.HOLD, Balance(ADA, available=70, held=30, granted=100)),
        (EntryKind.GRANT, Balance(ADA, available=100, granted=100)),
    ]


@given(wishes, st.integers(1, 6), st.lists(st.integers(0, 299), max_size=8))
def test_pages_stay_right_when_transfers_arrive_late_between_them(
    asked: list[tuple[EntryKind, int, int]], limit: int, lateness: list[int]
) -> None:
    """Before each page one more arrives, up to five minutes behind its time: whatever a page shows is right as of then."""
    ledger = MemoryLedgerStore(World())
    posted = life(asked, customer_id=ADA)
    for transfer in posted:
        ledger.post(transfer)
    key: Key | None = None
    for number in count():
        for seconds in lateness[number : number + 1]:
            posted.append(a_grant(1000 + number, at=NOW - seconds * SECOND))
            ledger.post(posted[-1])
        page = credits_over(ledger).entries(ADA, limit=limit, key=key)
        truth = {transfer.id: after for transfer, after in forward(posted, ADA)}
        assert [line.after for line in page.items] == [truth[line.transfer.id] for line in page.items]
        key = page.next_key
        if key is None:
            return


@pytest.mark.parametrize("interruptions", [0, 1, 4])
def test_a_transfer_between_balance_and_entries_makes_it_read_again(interruptions: int) -> None:
    left = iter(range(interruptions))

    def meanwhile(ledger: MemoryLedgerStore) -> None:
        number = next(left, None)
        if number is not None:
            ledger.post(a_grant(number))

    ledger = Interrupted(meanwhile)
    ledger.post(a_grant(100, at=NOW - SECOND, amount=5))
    lines = credits_over(ledger).entries(ADA, limit=10, key=None).items
    assert len(lines) == interruptions + 1
    assert [line.after.available for line in lines] == [5 + 10 * count for count in range(interruptions, -1, -1)]


def test_the_books_hold_together_while_transfers_arrive() -> None:
    numbers = iter(range(3))

    def meanwhile(ledger: MemoryLedgerStore) -> None:
        number = next(numbers, None)
        if number is not None:
            ledger.post(a_grant(number, at=NOW - number * SECOND))

    books = credits_over(Interrupted(meanwhile)).since(ADA, NOW - timedelta(days=3))
    assert books.balance.granted == sum(transfer.amount for transfer in books.transfers) == 30


def test_credits_that_never_rest_are_refused_not_told_wrong() -> None:
    numbers = iter(range(100))
    credits = credits_over(Interrupted(lambda ledger: ledger.post(a_grant(next(numbers)))))
    for ask in (lambda: credits.entries(ADA, limit=5, key=None), lambda: credits.since(ADA, NOW)):
        with pytest.raises(Unavailable) as refused:
            ask()
        assert refused.value.code == "TRY_AGAIN"


def test_an_entry_that_the_query_has_not_seen_yet_is_waited_for() -> None:
    ledger = HalfSeen(World())
    for number in range(3):
        ledger.post(a_grant(number, at=NOW + number * SECOND))
    lines = credits_over(ledger).entries(ADA, limit=5, key=None).items
    assert ledger.queries == 2
    assert [line.after.available for line in lines] == [30, 20, 10]


def test_what_was_posted_last_may_be_older_than_the_page() -> None:
    ledger = MemoryLedgerStore(World())
    for number in range(4):
        ledger.post(a_grant(number, at=NOW - number * SECOND))
    first = credits_over(ledger).entries(ADA, limit=2, key=None)
    assert [line.after.available for line in first.items] == [40, 30]


@pytest.mark.parametrize(("age", "carried"), [(SETTLED_AFTER, True), (SETTLED_AFTER - SECOND, False)])
def test_only_a_settled_balance_travels_with_the_cursor(age: timedelta, carried: bool) -> None:
    ledger = MemoryLedgerStore(World())
    for number in range(2):
        ledger.post(a_grant(number, at=NOW - age - number * SECOND))
    key = credits_over(ledger).entries(ADA, limit=1, key=None).next_key
    assert key is not None
    assert ("available" in key) == carried
    assert all(isinstance(value, str) for value in key.values())
