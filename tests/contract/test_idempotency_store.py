"""Idempotency records in memory and in DynamoDB answer alike. They are written by a submit."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gpupool.errors import Conflict, ValidationFailed
from gpupool.idempotency.model import LIFETIME, IdempotencyRecord, fingerprint, record_id
from gpupool.idempotency.service import Once
from gpupool.ledger.model import hold
from gpupool.transitions.store import Obstacle, SubmitRefused
from tests.contract.both import Stores, a_submitted_job
from tests.factories import CUSTOMER_ID, NOW, an_admission

RECORD = IdempotencyRecord("customer#route#key", "f" * 64, "job-1", NOW)


@pytest.fixture
def stores(stores: Stores) -> Stores:
    stores.submitted(id="an-earlier-job")
    return stores


def use(stores: Stores, record: IdempotencyRecord) -> None:
    job = a_submitted_job(id=record.resource_id)
    price = hold(customer_id=CUSTOMER_ID, job_id=job.id, amount=job.quote.credits, at=record.created_at)
    stores.transitions.submit(job, hold=price, admission=an_admission(stores.limits, job), record=record)


def test_a_record_comes_back_as_it_was_written(stores: Stores) -> None:
    assert stores.idempotency.get(RECORD.id) is None
    use(stores, RECORD)
    assert stores.idempotency.get(RECORD.id) == RECORD


def test_a_key_is_used_once(stores: Stores) -> None:
    use(stores, RECORD)
    with pytest.raises(SubmitRefused) as refused:
        use(stores, replace(RECORD, resource_id="job-2"))
    assert refused.value.obstacles == {Obstacle.IDEMPOTENCY_KEY_USED}
    assert stores.jobs.get("job-2") is None


def test_a_record_is_gone_after_a_day_even_if_its_row_is_not(stores: Stores) -> None:
    use(stores, RECORD)
    stores.clock.advance(LIFETIME.total_seconds() - 1)
    assert stores.idempotency.get(RECORD.id) == RECORD

    stores.clock.advance(2)

    assert stores.idempotency.get(RECORD.id) is None
    again = replace(RECORD, resource_id="job-2", created_at=NOW + LIFETIME + timedelta(seconds=1))
    use(stores, again)
    assert stores.idempotency.get(RECORD.id) == again


@pytest.mark.parametrize("begun", [0.0, 0.25, 0.75])
@pytest.mark.parametrize("past", [-0.75, -0.5, 0.0, 0.5])
def test_a_key_is_free_from_the_moment_on_at_which_nobody_reads_it_any_more(stores: Stores, begun: float, past: float) -> None:
    first = replace(RECORD, created_at=NOW + timedelta(seconds=begun))
    stores.clock.advance(begun)
    assert stores.idempotency.reserve(first) == first
    stores.clock.advance(LIFETIME.total_seconds() + past)
    known = stores.idempotency.get(RECORD.id)

    again = replace(RECORD, resource_id="job-2", created_at=stores.clock.now())
    assert stores.idempotency.reserve(again) == (known or again)

    assert stores.idempotency.get(RECORD.id) == (known or again)


def test_ids_are_scoped_to_customer_and_route() -> None:
    ids = {record_id(customer_id=who, route=route, key="12345678") for who in ("a", "b") for route in ("x", "y")}
    assert len(ids) == 4


def test_the_fingerprint_sees_content_and_not_the_order_of_fields() -> None:
    assert fingerprint({"a": 1, "b": {"c": 2, "d": 3}}) == fingerprint({"b": {"d": 3, "c": 2}, "a": 1})
    assert len({fingerprint({"a": value}) for value in (1, "1", True, None, 1.5, [1])}) == 6


def test_a_reserved_key_belongs_to_the_first_until_it_expires(stores: Stores) -> None:
    assert stores.idempotency.reserve(RECORD) == RECORD
    assert stores.idempotency.reserve(replace(RECORD, resource_id="other")) == RECORD

    stores.clock.advance(LIFETIME.total_seconds() + 1)
    later = replace(RECORD, resource_id="later", created_at=stores.clock.now())

    assert stores.idempotency.reserve(later) == later


def test_a_claim_names_the_same_id_again_and_refuses_another_request(stores: Stores) -> None:
    once = Once(store=stores.idempotency, clock=stores.clock)
    first = once.claim(CUSTOMER_ID, "POST /things", "a-good-key", {"name": "a"})

    assert not first.repeated
    assert once.claim(CUSTOMER_ID, "POST /things", "a-good-key", {"name": "a"}) == replace(first, repeated=True)
    with pytest.raises(Conflict) as refused:
        once.claim(CUSTOMER_ID, "POST /things", "a-good-key", {"name": "b"})
    assert refused.value.code == "IDEMPOTENCY_CONFLICT"
    with pytest.raises(ValidationFailed) as malformed:
        once.claim(CUSTOMER_ID, "POST /things", "short", {"name": "a"})
    assert malformed.value.code == "IDEMPOTENCY_KEY_INVALID"


def test_without_a_key_every_request_is_a_new_one(stores: Stores) -> None:
    once = Once(store=stores.idempotency, clock=stores.clock)
    claims = [once.claim(CUSTOMER_ID, "POST /things", None, {}) for _ in range(2)]

    assert not any(claim.repeated for claim in claims)
    assert len({claim.resource_id for claim in claims}) == 2
