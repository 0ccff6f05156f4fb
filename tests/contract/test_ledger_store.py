"""The ledger in memory and in DynamoDB answers alike."""

from datetime import datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from gpupool.dynamo import error_code
from gpupool.errors import AlreadyExists, StaleWrite
from gpupool.ledger.dynamo import DynamoLedgerStore
from gpupool.ledger.model import Balance, EntryKind, Transfer, hold, release, time_key
from tests.contract.both import DynamoStores, Stores
from tests.factories import CUSTOMER_ID, NOW, a_grant


def test_before_the_first_grant_there_is_nothing(stores: Stores) -> None:
    assert stores.ledger.balance("nobody") == Balance("nobody")
    assert stores.ledger.page("nobody", limit=10, key=None).items == ()


def test_a_grant_is_available_and_listed(stores: Stores) -> None:
    stores.ledger.post(a_grant(amount=70, note="welcome"))
    assert stores.ledger.balance(CUSTOMER_ID) == Balance(CUSTOMER_ID, available=70, granted=70)
    assert stores.ledger.page(CUSTOMER_ID, limit=10, key=None).items == (a_grant(amount=70, note="welcome"),)


def test_a_transfer_is_posted_once(stores: Stores) -> None:
    stores.ledger.post(a_grant(amount=70))
    with pytest.raises(AlreadyExists):
        stores.ledger.post(a_grant(amount=80))
    assert stores.ledger.balance(CUSTOMER_ID).granted == 70


def test_what_is_not_available_cannot_be_held(stores: Stores) -> None:
    stores.ledger.post(a_grant(amount=70))
    too_much = hold(customer_id=CUSTOMER_ID, job_id="job-1", amount=71, at=NOW)
    with pytest.raises(StaleWrite):
        stores.ledger.post(too_much)
    assert stores.ledger.balance(CUSTOMER_ID) == Balance(CUSTOMER_ID, available=70, granted=70)
    assert stores.ledger.page(CUSTOMER_ID, limit=10, key=None).items == (a_grant(amount=70),)


def test_the_last_credit_can_be_held_and_none_beyond_it(stores: Stores) -> None:
    stores.ledger.post(a_grant(amount=2))
    for job_id in ("job-1", "job-2"):
        stores.ledger.post(hold(customer_id=CUSTOMER_ID, job_id=job_id, amount=1, at=NOW))
    with pytest.raises(StaleWrite):
        stores.ledger.post(hold(customer_id=CUSTOMER_ID, job_id="job-3", amount=1, at=NOW))
    assert stores.ledger.balance(CUSTOMER_ID) == Balance(CUSTOMER_ID, held=2, granted=2, latest=latest(stores))
    stores.ledger.post(release(customer_id=CUSTOMER_ID, job_id="job-1", amount=2, at=NOW))
    with pytest.raises(StaleWrite):
        stores.ledger.post(release(customer_id=CUSTOMER_ID, job_id="job-2", amount=1, at=NOW))
    assert stores.ledger.balance(CUSTOMER_ID).available == 2


def latest(stores: Stores) -> str:
    return stores.ledger.balance(CUSTOMER_ID).latest


def test_a_table_that_is_not_there_is_no_reason_to_try_again(stores: Stores) -> None:
    if not isinstance(stores, DynamoStores):
        return
    with pytest.raises(ClientError) as refused:
        DynamoLedgerStore(stores.client, "nowhere").post(a_grant())
    assert error_code(refused.value) == "ResourceNotFoundException"


def test_no_transfer_runs_backwards() -> None:
    assert a_grant(amount=0).amount == 0
    with pytest.raises(ValueError, match="backwards"):
        a_grant(amount=-1)


def test_customers_do_not_share_accounts_or_transfer_ids(stores: Stores) -> None:
    stores.ledger.post(a_grant(amount=70))
    stores.ledger.post(a_grant(customer_id="bob", amount=5))
    assert stores.ledger.balance(CUSTOMER_ID).available == 70
    assert stores.ledger.balance("bob").available == 5


@pytest.mark.parametrize(("limit", "pages"), [(1, 4), (2, 2), (3, 2), (4, 1), (100, 1)])
def test_entries_come_newest_first_in_pages_without_the_balance(stores: Stores, limit: int, pages: int) -> None:
    posted = [a_grant(grant_id=f"g-{at}", at=NOW + timedelta(milliseconds=at // 2)) for at in range(4)]
    for transfer in posted:
        stores.ledger.post(transfer)
    seen = []
    key = None
    for at in range(pages):
        page = stores.ledger.page(CUSTOMER_ID, limit=limit, key=key)
        seen += page.items
        key = page.next_key
        assert (key is None) == (at == pages - 1)
        assert key is None or set(key) == {"customer_id", "entry_id", "time_key"}
    assert seen == posted[::-1]


def test_a_submitted_job_shows_its_hold(stores: Stores) -> None:
    job = stores.submitted()
    entries = stores.ledger.page(CUSTOMER_ID, limit=10, key=None).items
    assert {(entry.kind, entry.job_id) for entry in entries} == {(EntryKind.GRANT, None), (EntryKind.HOLD, job.id)}


def between(stores: Stores, start: datetime, end: datetime | None) -> list[Transfer]:
    return list(stores.ledger.between(CUSTOMER_ID, start=start, end=end))


def test_entries_of_a_time_come_oldest_first_without_those_of_its_end(stores: Stores) -> None:
    second = timedelta(seconds=1)
    posted = [a_grant(grant_id=f"g-{at}", at=NOW + at * second) for at in range(4)]
    for transfer in [*posted[::-1], a_grant(customer_id="bob")]:
        stores.ledger.post(transfer)
    assert between(stores, NOW + second, NOW + 3 * second) == posted[1:3]
    assert between(stores, NOW + second, None) == posted[1:]
    assert between(stores, NOW + second / 2, NOW + second) == []
    assert between(stores, NOW - second, NOW + second / 1_000_000) == posted[:1]


def test_a_time_with_more_entries_than_one_answer_holds_is_read_whole(stores: Stores) -> None:
    posted = [a_grant(grant_id=f"g-{at}", at=NOW + timedelta(seconds=at), note="n" * 100_000) for at in range(12)]
    for transfer in posted:
        stores.ledger.post(transfer)
    assert between(stores, NOW, NOW + timedelta(days=1)) == posted


def test_the_balance_names_what_was_posted_last_not_what_is_newest(stores: Stores) -> None:
    first, late = a_grant(grant_id="g-1"), a_grant(grant_id="g-0", at=NOW - timedelta(seconds=1))
    assert stores.ledger.balance(CUSTOMER_ID).latest == ""
    for transfer in (first, late):
        stores.ledger.post(transfer)
        assert stores.ledger.balance(CUSTOMER_ID).latest == time_key(transfer)
    with pytest.raises(AlreadyExists):
        stores.ledger.post(first)
    assert stores.ledger.balance(CUSTOMER_ID).latest == time_key(late)


def test_every_transition_names_its_transfer_on_the_balance(stores: Stores) -> None:
    job = stores.submitted()
    (hold,) = [entry for entry in between(stores, NOW, None) if entry.job_id == job.id]
    assert stores.ledger.balance(CUSTOMER_ID).latest == time_key(hold)
