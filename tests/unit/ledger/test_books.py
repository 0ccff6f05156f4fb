"""The ledger's arithmetic: whatever is posted in whatever order, the accounts add up and nothing moves twice."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpupool.clock import FixedClock
from gpupool.errors import AlreadyExists, ValidationFailed
from gpupool.ledger.memory import MemoryLedgerStore
from gpupool.ledger.model import EntryKind, Transfer, debit, deltas_of, hold, release, time_key
from gpupool.ledger.service import Credits
from gpupool.world import World
from tests.factories import CUSTOMER_ID, NOW, a_grant


@pytest.mark.parametrize("kind", EntryKind)
def test_every_transfer_takes_from_one_account_what_it_gives_to_another(kind: EntryKind) -> None:
    deltas = deltas_of(Transfer("t", CUSTOMER_ID, kind, 7, NOW))
    assert deltas.available + deltas.held + deltas.spent == deltas.granted
    assert deltas.granted == (7 if kind is EntryKind.GRANT else 0)


def test_ids_follow_from_what_is_paid_so_that_it_is_paid_once() -> None:
    of_job = {"customer_id": CUSTOMER_ID, "job_id": "j"}
    later = NOW + timedelta(days=1)
    assert hold(**of_job, amount=1, at=NOW).id == hold(**of_job, amount=2, at=later).id
    assert release(**of_job, amount=1, at=NOW).id == release(**of_job, amount=2, at=later).id
    assert debit(**of_job, unit_id="j.00000", amount=1, at=NOW).id == debit(**of_job, unit_id="j.00000", amount=9, at=later).id
    assert debit(**of_job, unit_id="j.00000", amount=1, at=NOW).id != debit(**of_job, unit_id="j.00001", amount=1, at=NOW).id


postings = st.builds(
    Transfer,
    id=st.sampled_from([f"t-{at}" for at in range(12)]),
    customer_id=st.sampled_from(["ada", "bob"]),
    kind=st.sampled_from(EntryKind),
    amount=st.integers(1, 50),
    created_at=st.just(NOW),
)


@given(st.lists(postings, max_size=30))
def test_accounts_add_up_after_every_posting_and_repeats_move_nothing(transfers: list[Transfer]) -> None:
    store = MemoryLedgerStore(World())
    for transfer in transfers:
        before = store.balance(transfer.customer_id)
        if not store.covers(transfer):
            continue
        if store.is_posted(transfer):
            with pytest.raises(AlreadyExists):
                store.post(transfer)
            assert store.balance(transfer.customer_id) == before
        else:
            store.post(transfer)
        after = store.balance(transfer.customer_id)
        assert after.available + after.held + after.spent == after.granted
        assert min(after.available, after.held, after.spent) >= 0


def test_entries_sort_by_time_and_then_by_id() -> None:
    moments = [NOW, NOW + timedelta(microseconds=1), NOW + timedelta(seconds=1), NOW + timedelta(days=400)]
    transfers = [a_grant(grant_id=name, at=at) for at in moments for name in ("a", "b")]
    assert sorted(transfers, key=time_key) == transfers


def test_each_grant_is_a_transfer_of_its_own() -> None:
    credits = Credits(ledger=MemoryLedgerStore(World()), clock=FixedClock())
    credits.grant("ada", amount=5, note="welcome")
    credits.grant("ada", amount=5, note="welcome")
    assert credits.balance("ada").granted == 10
    assert [line.transfer.note for line in credits.entries("ada", limit=10, key=None).items] == ["welcome", "welcome"]


@pytest.mark.parametrize("amount", [0, -1])
def test_a_grant_gives_something(amount: int) -> None:
    credits = Credits(ledger=MemoryLedgerStore(World()), clock=FixedClock())
    with pytest.raises(ValidationFailed):
        credits.grant("ada", amount=amount, note="")
    assert credits.balance("ada").granted == 0
