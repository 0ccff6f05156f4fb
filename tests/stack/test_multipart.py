"""A dataset in parts, over real presigned URLs: interrupted, taken up again, put together; and what a lie about it leads to."""

import hashlib
import uuid
from pathlib import Path

import pytest

from tests.stack import packages
from tests.stack.customers import Answer, Customer, Json, call, check_books

pytestmark = pytest.mark.stack

PART = 8 * 1024 * 1024
SIZE = 101_000_000
FULL, REST = bytes(PART), bytes(SIZE % PART)
PARTS_TOTAL = 13


def piece(number: int) -> bytes:
    return REST if number == PARTS_TOTAL else FULL


def whole() -> str:
    digest = hashlib.sha256()
    for number in range(1, PARTS_TOTAL + 1):
        digest.update(piece(number))
    return digest.hexdigest()


def declare(customer: Customer, *, key: str | None = None, sha256: str | None = None) -> Answer:
    body = {"name": "zeros.bin", "size_bytes": SIZE, "sha256": sha256 or whole()}
    return customer.ask("POST", "/datasets", body=body, headers={"Idempotency-Key": key} if key else None)


def signed(customer: Customer, dataset: Json, *numbers: int) -> list[Json]:
    parts = [{"part_number": number, "sha256": hashlib.sha256(piece(number)).hexdigest()} for number in numbers]
    answer = customer.ask("POST", f"/datasets/{dataset['id']}/parts", body={"parts": parts})
    assert answer.status == 200, answer
    found: list[Json] = answer.body["parts"]
    return found


def put(part: Json, content: bytes) -> int:
    return call(part["method"], part["url"], headers=part["headers"], content=content).status


def ready(customer: Customer, *, sha256: str) -> Json:
    """A dataset of all its parts under a digest that may be a lie."""
    dataset: Json = declare(customer, sha256=sha256).body
    for part in signed(customer, dataset, *range(1, PARTS_TOTAL + 1)):
        assert put(part, piece(part["part_number"])) == 200
    answer = customer.finalize("datasets", dataset)
    assert answer.status == 200, answer
    found: Json = answer.body
    return found


def arrived(customer: Customer, dataset: Json) -> list[Json]:
    listed = customer.ask("GET", f"/datasets/{dataset['id']}/parts?limit=100")
    assert listed.status == 200, listed
    found: list[Json] = listed.body["data"]
    return found


def test_an_upload_in_parts_is_interrupted_taken_up_again_and_put_together(customer: Customer) -> None:
    key = str(uuid.uuid4())
    first = declare(customer, key=key)
    assert first.status == 201, first
    dataset = first.body
    assert dataset["multipart"] == {"part_size_bytes": PART, "parts_total": PARTS_TOTAL}
    for part in signed(customer, dataset, 1, 2, 3, 13):
        assert put(part, piece(part["part_number"])) == 200

    again = declare(customer, key=key)
    assert (again.body, again.headers["idempotent-replayed"]) == (dataset, "true")
    there = arrived(customer, dataset)
    assert [(part["part_number"], part["size_bytes"]) for part in there] == [(1, PART), (2, PART), (3, PART), (13, len(REST))]
    assert there[3]["sha256"] == hashlib.sha256(REST).hexdigest()
    early = customer.finalize("datasets", dataset)
    assert (early.status, early.error["code"]) == (409, "UPLOAD_MISSING")
    missing = early.error["details"]["missing_parts"]
    assert missing == list(range(4, 13))

    for part in signed(customer, dataset, *missing):
        assert put(part, FULL) == 200
    ready = customer.finalize("datasets", dataset)
    assert (ready.status, ready.body["status"]) == (200, "ready"), ready
    assert customer.finalize("datasets", dataset).body == ready.body
    assert customer.ask("GET", f"/datasets/{dataset['id']}/parts").error["code"] == "UPLOAD_NOT_PENDING"
    assert customer.ask("DELETE", f"/datasets/{dataset['id']}").status == 204


def test_a_part_takes_its_own_bytes_and_no_others(customer: Customer) -> None:
    dataset = declare(customer).body
    last, first = signed(customer, dataset, 13, 1)
    wrong = b"\1" + REST[1:]
    assert put(last, wrong) in (400, 403)
    of_others = {"x-amz-checksum-sha256": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}
    assert put(last | {"headers": last["headers"] | of_others}, wrong) in (400, 403)
    assert put(last | {"headers": last["headers"] | {"Content-Length": "5"}}, REST[:5]) in (400, 403)
    assert put(last | {"url": last["url"].replace("partNumber=13", "partNumber=12")}, REST) == 403
    assert put(first | {"url": first["url"].replace("X-Amz-Expires=900", "X-Amz-Expires=901")}, FULL) == 403
    assert arrived(customer, dataset) == []
    assert put(last, REST) == 200
    assert customer.ask("DELETE", f"/datasets/{dataset['id']}").status == 204
    assert put(last, REST) == 404


@pytest.mark.usefixtures("machines")
def test_a_job_trains_on_what_arrived_in_parts(customer: Customer, desk: Path) -> None:
    package = customer.upload("training-packages", packages.script(packages.TRAIN), desk)
    file = desk / "zeros.bin"
    with file.open("wb") as zeros:
        zeros.truncate(SIZE)
    dataset = customer.client.upload("datasets", file, name=file.name, content_type="application/octet-stream")
    assert dataset["multipart"]["parts_total"] == PARTS_TOTAL
    job = customer.ended(customer.submit(customer.wish(package, dataset)))
    assert job["status"] == "completed", job
    check_books(customer, job)


@pytest.mark.usefixtures("machines")
def test_a_lie_about_the_whole_ends_the_job_for_its_owner_to_see_and_costs_nothing(customer: Customer, desk: Path) -> None:
    package = customer.upload("training-packages", packages.script(packages.TRAIN), desk)
    before = customer.balance()
    job = customer.ended(customer.submit(customer.wish(package, ready(customer, sha256="0" * 64))))
    assert job["status"] == "failed", job
    assert (job["failure"]["code"], job["failure"]["blame"]) == ("DATASET_MISMATCH", "user")
    assert "0" * 64 in job["failure"]["message"]
    (first,) = (unit for unit in customer.client.units(job["id"]) if unit["status"] == "failed")
    assert first["attempt"] == 2, "a second machine was asked before its owner was blamed"
    assert customer.balance() == before
