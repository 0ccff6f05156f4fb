"""Every view of the ledger tells the same sums, to the last credit, in memory and in DynamoDB."""

import csv
import io
from datetime import timedelta
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from gpupool.clock import FixedClock
from gpupool.ledger.model import Balance, EntryKind, Line, Transfer
from gpupool.ledger.service import Credits
from gpupool.objects.memory import MemoryObjectStore
from gpupool.pages import Key
from gpupool.usage.service import Usage
from tests.contract.both import Stores
from tests.support.postings import NOW, forward, life, wishes

EXAMPLES = {"memory": 100, "moto": 10, "ministack": 10}
MONTHS = ("2025-12", "2026-01", "2026-02", "2026-03")


class Account:
    """One customer's life, posted, and the services that tell it."""

    def __init__(self, stores: Stores, customer_id: str, transfers: list[Transfer]) -> None:
        for transfer in transfers:
            stores.ledger.post(transfer)
        clock = FixedClock(NOW)
        self.id = customer_id
        self.transfers = transfers
        self.credits = Credits(ledger=stores.ledger, clock=clock)
        self.usage = Usage(credits=self.credits, objects=MemoryObjectStore(), clock=clock)

    def lines(self, limit: int) -> list[Line]:
        found: list[Line] = []
        key: Key | None = None
        while True:
            page = self.credits.entries(self.id, limit=limit, key=key)
            found += page.items
            key = page.next_key
            if key is None:
                return found

    def statement(self, month: str) -> list[dict[str, str]]:
        return rows_of(self.usage.statement(self.id, month=month).body)

    def spent_by_export(self, first: str, last: str) -> int:
        return sum(int(row["credits"]) for row in rows_of(self.usage.export(self.id, date_from=first, date_to=last).body))


def rows_of(body: bytes | None) -> list[dict[str, str]]:
    assert body is not None
    return list(csv.DictReader(io.StringIO(body.decode(), newline="")))


def accounts_of(row: dict[str, str]) -> tuple[int, int, int]:
    return int(row["available"]), int(row["held"]), int(row["spent"])


def figures(balance: Balance) -> tuple[int, int, int]:
    return balance.available, balance.held, balance.spent


def test_pages_statements_days_exports_and_summary_agree(stores: Stores, kind: str) -> None:
    numbers = count()

    @settings(max_examples=EXAMPLES[kind], deadline=None)
    @given(wishes, st.integers(1, 7))
    def any_life(asked: list[tuple[EntryKind, int, int]], limit: int) -> None:
        customer_id = f"customer-{next(numbers)}"
        account = Account(stores, customer_id, life(asked, customer_id=customer_id))
        balance = account.credits.balance(customer_id)
        the_ledger_adds_up(account, balance, limit)
        statements_continue_each_other(account)
        days_and_exports_agree(account)
        the_summary_agrees(account, balance)

    any_life()


def the_ledger_adds_up(account: Account, balance: Balance, limit: int) -> None:
    expected = forward(account.transfers, account.id)
    assert [(line.transfer, line.after) for line in account.lines(limit)] == expected[::-1]
    assert balance == (expected[-1][1] if expected else Balance(account.id))


def statements_continue_each_other(account: Account) -> None:
    lines = {line.transfer.id: line for line in account.lines(100)}
    closing = None
    for month in MONTHS:
        opening, *entries, last = account.statement(month)
        assert (opening["kind"], last["kind"]) == ("opening_balance", "closing_balance")
        assert closing in (None, accounts_of(opening))
        assert accounts_of(last) == accounts_of((entries or [opening])[-1])
        inside = [found for found in account.transfers if f"{found.created_at:%Y-%m}" == month]
        assert sorted(row["entry_id"] for row in entries) == sorted(found.id for found in inside)
        for row in entries:
            line = lines[row["entry_id"]]
            assert (int(row["amount"]), accounts_of(row)) == (line.transfer.amount, figures(line.after))
        closing = accounts_of(last)
    assert closing == figures(account.credits.balance(account.id))


def days_and_exports_agree(account: Account) -> None:
    told = account.usage.daily(account.id, days=90)
    assert [day.date for day in told.days] == [NOW.date() - timedelta(days=at) for at in range(89, -1, -1)]
    for day in told.days:
        written = dict.fromkeys(EntryKind, 0)
        for transfer in account.transfers:
            if transfer.created_at.date() == day.date:
                written[transfer.kind] += transfer.amount
        sums = day.totals
        assert (sums.credits_granted, sums.credits_held) == (written[EntryKind.GRANT], written[EntryKind.HOLD])
        assert (sums.credits_spent, sums.credits_released) == (written[EntryKind.DEBIT], written[EntryKind.RELEASE])
    assert told.totals.credits_spent == sum(day.totals.credits_spent for day in told.days)
    first, last = told.days[0].date.isoformat(), told.days[-1].date.isoformat()
    assert account.spent_by_export(first, last) == told.totals.credits_spent


def the_summary_agrees(account: Account, balance: Balance) -> None:
    told = account.usage.summary(account.id)
    assert told.balance == balance
    month = account.statement("2026-03")
    debits = [int(row["amount"]) for row in month if row["kind"] == "debit"]
    assert (told.this_month.totals.credits_spent, told.this_month.totals.units_completed) == (sum(debits), len(debits))
    assert told.this_month.totals.jobs_submitted == sum(row["kind"] == "hold" for row in month)
    recent = account.usage.daily(account.id, days=30).totals
    assert told.last_30_days.totals == recent
    assert account.spent_by_export("2026-02-14", "2026-03-15") == recent.credits_spent
