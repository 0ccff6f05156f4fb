"""Requests that meet: of several equal ones one counts, and no credit is held twice."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.stack import packages
from tests.stack.customers import DATA, Answer, Customer, Json

pytestmark = pytest.mark.stack

_AT_ONCE = 6


@pytest.fixture(scope="module")
def make_wish(desk: Path) -> Callable[[Customer], Json]:
    """A job that waits for a GPU that no machine has."""

    def make(customer: Customer) -> Json:
        package = customer.upload("training-packages", packages.for_a_gpu(), desk)
        return customer.wish(package, customer.upload("datasets", DATA, desk), required_vram_mb=8_000)

    return make


def all_at_once(calls: list[Callable[[], Answer]]) -> list[Answer]:
    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(lambda each: each(), calls))


def submission(customer: Customer, body: Json, key: str) -> Callable[[], Answer]:
    return lambda: customer.ask("POST", "/training-jobs", body=body, headers={"Idempotency-Key": key})


def cancellation(customer: Customer, job: Json) -> Callable[[], Answer]:
    return lambda: customer.ask("POST", f"/training-jobs/{job['id']}/cancel")


def persistent(call: Callable[[], Answer]) -> Callable[[], Answer]:
    """As a client calls that was told to try again."""

    def insist() -> Answer:
        answer = call()
        while answer.status == 503 and answer.error["code"] == "TRY_AGAIN":
            answer = call()
        return answer

    return insist


def test_one_key_makes_one_job(customer: Customer, make_wish: Callable[[Customer], Json]) -> None:
    body, key = make_wish(customer), str(uuid.uuid4())
    held = customer.balance()["held"]

    answers = all_at_once([persistent(submission(customer, body, key))] * _AT_ONCE)

    assert [answer.status for answer in answers] == [201] * _AT_ONCE
    job = answers[0].body
    assert {answer.body["id"] for answer in answers} == {job["id"]}
    assert [entry["kind"] for entry in customer.client.ledger(job["id"])] == ["hold"]
    assert customer.balance()["held"] == held + job["quote"]["credits"]
    customer.client.cancel(job["id"])
    assert customer.ended(job)["status"] == "cancelled"


def test_credit_for_two_jobs_starts_two(
    new_customers: Callable[[int], Customer], make_wish: Callable[[Customer], Json]
) -> None:
    price = 4  # one minute on the smallest GPU
    customer = new_customers(2 * price + 3)
    body = make_wish(customer)

    answers = all_at_once([persistent(submission(customer, body, str(uuid.uuid4()))) for _ in range(_AT_ONCE)])

    assert sorted(answer.status for answer in answers) == [201, 201, 402, 402, 402, 402]
    assert {answer.error["code"] for answer in answers if answer.status == 402} == {"CREDIT_INSUFFICIENT"}
    assert customer.balance() == {"available": 3, "held": 2 * price, "spent": 0, "granted": 2 * price + 3}
    jobs = [answer.body for answer in answers if answer.status == 201]
    all_at_once([cancellation(customer, job) for job in jobs * 3])
    assert {customer.ended(job)["status"] for job in jobs} == {"cancelled"}
    assert customer.balance() == {"available": 2 * price + 3, "held": 0, "spent": 0, "granted": 2 * price + 3}
