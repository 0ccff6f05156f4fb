"""The ledger read while others write to it: whatever is told adds up."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from gpupool.clock import SystemClock
from gpupool.errors import Unavailable
from gpupool.ledger.decide import before, undone
from gpupool.ledger.dynamo import DynamoLedgerStore
from gpupool.ledger.model import Balance, grant
from gpupool.ledger.service import Credits
from tests.local.workshop import Workshop
from tests.support.tables import create_tables

pytestmark = pytest.mark.stack

_WRITERS = 4
_EACH = 30
_PAUSE_SECONDS = 0.2
_ADA = "ada"
_LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def test_balance_and_entries_agree_while_transfers_are_posted(workshop: Workshop) -> None:
    create_tables(workshop.client("dynamodb"), "ledger")
    clock, together = SystemClock(), threading.Barrier(_WRITERS + 1)
    done, heard = threading.Event(), threading.Event()

    def write(writer: int) -> None:
        client = workshop.client("dynamodb")
        store = DynamoLedgerStore(client, "ledger")
        together.wait()
        for number in range(_EACH):
            transfer = grant(customer_id=_ADA, grant_id=f"{writer}-{number}", amount=number + 1, at=clock.now())
            while True:
                try:
                    store.post(transfer)
                    break
                except client.exceptions.TransactionCanceledException:
                    continue
            # On a busy machine no reading would ever fall between two transfers.
            heard.wait(_PAUSE_SECONDS)

    def read() -> int:
        """How many readings added up; one that was refused is none, one that did not add up fails."""
        credits = Credits(ledger=DynamoLedgerStore(workshop.client("dynamodb"), "ledger"), clock=clock)
        together.wait()
        told = 0
        while not done.is_set():
            try:
                books, lines = credits.since(_ADA, _LONG_AGO), credits.entries(_ADA, limit=1000, key=None).items
            except Unavailable:
                continue
            assert before(books.balance, books.transfers) == Balance(_ADA)
            if lines:
                assert undone(lines[-1].after, lines[-1].transfer) == Balance(_ADA)
            told += 1
            heard.set()
        return told

    with ThreadPoolExecutor(_WRITERS + 1) as threads:
        reader = threads.submit(read)
        writers = [threads.submit(write, writer) for writer in range(_WRITERS)]
        try:
            for writer in writers:
                writer.result()
        finally:
            done.set()
        told = reader.result()

    credits = Credits(ledger=DynamoLedgerStore(workshop.client("dynamodb"), "ledger"), clock=clock)
    assert credits.balance(_ADA).granted == _WRITERS * sum(range(1, _EACH + 1))
    assert len(credits.since(_ADA, _LONG_AGO).transfers) == _WRITERS * _EACH
    assert told > 0
