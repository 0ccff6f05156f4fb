"""Webhooks in memory and in DynamoDB answer alike."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from gpupool.errors import AlreadyExists, StaleWrite
from gpupool.events.model import EventType
from gpupool.webhooks.dynamo import DynamoWebhookStore
from gpupool.webhooks.model import Attempt, Delivery, DeliveryStatus, Endpoint
from tests.contract.both import Stores
from tests.factories import CUSTOMER_ID, NOW


@pytest.fixture
def tables() -> tuple[str, ...]:
    return ("webhooks", "deliveries")


def an_endpoint(number: int = 0, **changes: object) -> Endpoint:
    events = frozenset({EventType.JOB_COMPLETED, EventType.JOB_FAILED})
    plain = Endpoint(f"hook-{number}", CUSTOMER_ID, "https://a.example/", events, "mine", "whsec_YQ==", NOW, NOW)
    return replace(plain, **changes)


def a_delivery(sequence: int = 1, **changes: object) -> Delivery:
    plain = Delivery(
        f"msg_{sequence}", "hook-0", CUSTOMER_ID, f"event-{sequence}", EventType.JOB_COMPLETED, sequence, "{}", NOW, due_at=NOW
    )
    return replace(plain, **changes)


def test_an_endpoint_comes_back_as_it_was_written(stores: Stores) -> None:
    full = an_endpoint(
        previous_secret="whsec_Yg==",
        previous_secret_expires_at=NOW + timedelta(hours=1),
        rotation_id="r",
        disabled_at=NOW,
        disabled_reason="gone",
        last_sequence=7,
    )
    stores.webhooks.add_endpoint(full)
    assert stores.webhooks.endpoint(CUSTOMER_ID, full.id) == full
    assert stores.webhooks.endpoint("somebody-else", full.id) is None
    with pytest.raises(AlreadyExists):
        stores.webhooks.add_endpoint(full)


def test_endpoints_are_listed_newest_first_in_pages(stores: Stores) -> None:
    for number in range(5):
        stores.webhooks.add_endpoint(an_endpoint(number))
    first = stores.webhooks.endpoints(CUSTOMER_ID, limit=3, key=None)
    rest = stores.webhooks.endpoints(CUSTOMER_ID, limit=3, key=first.next_key)
    assert [[each.id for each in page.items] for page in (first, rest)] == [
        ["hook-4", "hook-3", "hook-2"],
        ["hook-1", "hook-0"],
    ]
    assert rest.next_key is None


def test_a_change_is_made_of_what_was_read_and_leaves_the_sequence_alone(stores: Stores) -> None:
    before = an_endpoint(disabled_at=NOW, disabled_reason="gone")
    stores.webhooks.add_endpoint(before)
    stores.webhooks.enqueue(a_delivery(1))

    later = NOW + timedelta(seconds=1)
    changed = replace(before, url="https://b.example/", disabled_at=None, disabled_reason=None, updated_at=later)
    written = stores.webhooks.replace_endpoint(before, changed)

    assert written == replace(changed, last_sequence=1) == stores.webhooks.endpoint(CUSTOMER_ID, before.id)
    with pytest.raises(StaleWrite):
        stores.webhooks.replace_endpoint(before, changed)
    stores.webhooks.remove_endpoint(written)
    stores.webhooks.remove_endpoint(written)
    with pytest.raises(StaleWrite):
        stores.webhooks.replace_endpoint(written, changed)
    assert stores.webhooks.endpoint(CUSTOMER_ID, before.id) is None


def test_deliveries_are_numbered_without_gaps(stores: Stores) -> None:
    stores.webhooks.add_endpoint(an_endpoint())
    stores.webhooks.enqueue(a_delivery(1))
    with pytest.raises(AlreadyExists):
        stores.webhooks.enqueue(a_delivery(2, id="msg_1"))
    for wrong in (1, 3):
        with pytest.raises(StaleWrite):
            stores.webhooks.enqueue(a_delivery(wrong, id="msg_new"))
    stores.webhooks.enqueue(a_delivery(2))
    assert stores.webhooks.endpoint(CUSTOMER_ID, "hook-0") == an_endpoint(last_sequence=2)
    with pytest.raises(StaleWrite):
        stores.webhooks.enqueue(a_delivery(1, endpoint_id="gone"))


def test_a_delivery_moves_on_from_the_version_that_was_read(stores: Stores) -> None:
    stores.webhooks.add_endpoint(an_endpoint())
    stores.webhooks.enqueue(a_delivery())
    attempt = Attempt(1, NOW, 12, status_code=500)
    moved = replace(a_delivery(), attempts_made=1, attempts=(attempt,), due_at=NOW + timedelta(seconds=5))
    written = stores.webhooks.replace_delivery(moved)
    assert written == replace(moved, version=2) == stores.webhooks.delivery("hook-0", "msg_1")
    with pytest.raises(StaleWrite):
        stores.webhooks.replace_delivery(moved)


def test_the_log_is_newest_first_in_pages(stores: Stores) -> None:
    stores.webhooks.add_endpoint(an_endpoint())
    for sequence in range(1, 13):
        stores.webhooks.enqueue(a_delivery(sequence))
    first = stores.webhooks.deliveries("hook-0", limit=10, key=None)
    rest = stores.webhooks.deliveries("hook-0", limit=10, key=first.next_key)
    assert [each.sequence for each in (*first.items, *rest.items)] == list(range(12, 0, -1))
    assert (len(first.items), rest.next_key) == (10, None)


def test_only_what_is_pending_is_due_and_the_most_overdue_comes_first(stores: Stores) -> None:
    stores.webhooks.add_endpoint(an_endpoint())
    for sequence, seconds in ((1, 30), (2, 0), (3, 400), (4, 10)):
        stores.webhooks.enqueue(a_delivery(sequence, due_at=NOW + timedelta(seconds=seconds)))
    over = replace(a_delivery(4), due_at=None, status=DeliveryStatus.DELIVERED, delivered_at=NOW)
    stores.webhooks.replace_delivery(over)

    due = stores.webhooks.due(within_seconds=60, now=NOW, limit=10)

    assert [each.sequence for each in due] == [2, 1]
    assert len(stores.webhooks.due(within_seconds=60, now=NOW, limit=1)) == 1


class Refusing:
    """A client whose transactions are refused for these reasons, one per statement; moto does not know them all."""

    def __init__(self, *codes: str) -> None:
        self._codes = codes

    def transact_write_items(self, **_writes: Any) -> None:
        reasons: Any = {"CancellationReasons": [{"Code": code} for code in self._codes]}
        error: Any = {"Error": {"Code": "TransactionCanceledException", "Message": "refused"}}
        raise ClientError(error | reasons, "TransactWriteItems")


@pytest.mark.parametrize(
    ("codes", "meaning"),
    [
        (("ConditionalCheckFailed", "ConditionalCheckFailed"), AlreadyExists),
        (("None", "ConditionalCheckFailed"), StaleWrite),
        (("None", "TransactionConflict"), StaleWrite),
        (("TransactionConflict", "None"), StaleWrite),
        (("None", "ThrottlingError"), ClientError),
        (("ValidationError", "None"), ClientError),
    ],
)
def test_only_what_another_writer_did_is_stale(codes: tuple[str, str], meaning: type[Exception]) -> None:
    """A stale write is tried again at once, for as long as it takes: nothing else may look like one."""
    client: Any = Refusing(*codes)
    store = DynamoWebhookStore(client, webhooks_table="webhooks", deliveries_table="deliveries")
    with pytest.raises(meaning):
        store.enqueue(a_delivery())
