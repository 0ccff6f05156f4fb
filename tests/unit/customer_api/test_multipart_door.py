"""Uploads in parts, and idempotent declarations, through the customer door."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from gpupool.bootstrap import build_once
from gpupool.objects.model import SignedPut
from gpupool.uploads.parts import PartTerms
from gpupool.uploads.service import Uploads
from tests.support.customer_door import SEED_SCOPES, Door, Visitor

BODY = b"0123456789abcdefghijklmnopqrst"
KEY = {"Idempotency-Key": "7c9e6679-7425-40de-944b-e07fc1f90ae7"}


@pytest.fixture
def door() -> Door:
    """With parts of 8 bytes for what has more than 20."""
    door = Door()
    ports, terms = door.ports, PartTerms(above_bytes=20, min_part_bytes=8)
    uploads = Uploads(store=ports.uploads, objects=ports.objects, once=build_once(ports), clock=ports.clock, terms=terms)
    door.core = replace(door.core, uploads=uploads)
    return door


@pytest.fixture
def ada(door: Door) -> Visitor:
    return door.customer(scopes=SEED_SCOPES)


def ask(*numbers: int) -> dict[str, Any]:
    pieces = {number: BODY[8 * (number - 1) : 8 * number] for number in numbers}
    return {"parts": [{"part_number": number, "sha256": hashlib.sha256(piece).hexdigest()} for number, piece in pieces.items()]}


def send(door: Door, ada: Visitor, dataset: dict[str, Any], *numbers: int) -> None:
    answer = ada.post(f"/datasets/{dataset['id']}/parts", ask(*numbers))
    assert answer.status_code == 200, answer.text
    for part in answer.json()["parts"]:
        body = BODY[8 * (part["part_number"] - 1) : 8 * part["part_number"]]
        assert door.ports.objects.upload(SignedPut(part["url"], part["headers"], part["method"]), body)


def test_a_large_dataset_from_declaration_over_an_interruption_to_deletion(door: Door, ada: Visitor) -> None:
    declared = ada.declare("datasets", BODY)
    how = declared["upload"]
    assert {name: how[name] for name in ("method", "part_size_bytes", "parts_total")} == {
        "method": "MULTIPART",
        "part_size_bytes": 8,
        "parts_total": 4,
    }
    send(door, ada, declared, 1, 3)
    missing = ada.post(f"/datasets/{declared['id']}/finalize")
    assert (missing.status_code, missing.json()["error"]["code"]) == (409, "UPLOAD_MISSING")
    assert missing.json()["error"]["details"]["missing_parts"] == [2, 4]
    listed = ada.get(f"/datasets/{declared['id']}/parts").json()["data"]
    assert listed == [
        {"part_number": 1, "size_bytes": 8, "sha256": hashlib.sha256(BODY[:8]).hexdigest()},
        {"part_number": 3, "size_bytes": 8, "sha256": hashlib.sha256(BODY[16:24]).hexdigest()},
    ]
    send(door, ada, declared, 2, 4)
    ready = ada.post(f"/datasets/{declared['id']}/finalize").json()
    assert (ready["status"], ready["multipart"]) == ("ready", {"part_size_bytes": 8, "parts_total": 4})
    assert ada.delete(f"/datasets/{declared['id']}").status_code == 204


def test_the_buckets_own_id_of_the_upload_stands_in_signed_urls_only(door: Door, ada: Visitor) -> None:
    declared = ada.declare("datasets", BODY)
    send(door, ada, declared, 1)
    seen = str([declared, ada.get(f"/datasets/{declared['id']}").json(), ada.get("/datasets").json()])
    assert "multipart-1" not in seen + ada.get(f"/datasets/{declared['id']}/parts").text


def test_a_package_has_no_parts(ada: Visitor) -> None:
    assert ada.post("/training-packages/x/parts", ask(1)).status_code == 404
    assert "multipart" not in ada.declare("training-packages", b"small")


def test_a_small_dataset_says_that_it_goes_in_one_piece(ada: Visitor) -> None:
    declared = ada.declare("datasets", b"small")
    assert (declared["upload"]["method"], declared["multipart"]) == ("PUT", None)
    answer = ada.post(f"/datasets/{declared['id']}/parts", ask(1))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "UPLOAD_NOT_MULTIPART")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"parts": []}, "/parts"),
        ({"parts": [{"part_number": 1, "sha256": "0" * 64}] * 101}, "/parts"),
        ({"parts": [{"part_number": 0, "sha256": "0" * 64}]}, "/parts/0/part_number"),
        ({"parts": [{"part_number": 5, "sha256": "0" * 64}]}, "/parts/0/part_number"),
        ({"parts": [{"part_number": 1, "sha256": "0" * 64}] * 2}, "/parts/1/part_number"),
        ({"parts": [{"part_number": 1, "sha256": "xyz"}]}, "/parts/0/sha256"),
        ({"parts": [{"part_number": 1, "sha256": "0" * 64, "size_bytes": 8}]}, "/parts/0/size_bytes"),
        ({}, "/parts"),
    ],
)
def test_a_request_for_parts_is_checked_field_by_field(ada: Visitor, body: dict[str, Any], field: str) -> None:
    answer = ada.post(f"/datasets/{ada.declare('datasets', BODY)['id']}/parts", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_FAILED")
    assert answer.json()["error"]["details"]["field"] == field


def test_parts_are_listed_in_pages_and_a_cursor_is_one_uploads(door: Door, ada: Visitor) -> None:
    declared, other = ada.declare("datasets", BODY), ada.declare("datasets", BODY)
    send(door, ada, declared, 1, 2, 4)
    first = ada.get(f"/datasets/{declared['id']}/parts", params={"limit": 2}).json()
    assert [part["part_number"] for part in first["data"]] == [1, 2]
    cursor = {"cursor": first["page"]["next_cursor"]}
    second = ada.get(f"/datasets/{declared['id']}/parts", params=cursor).json()
    assert [part["part_number"] for part in second["data"]] == [4]
    assert second["page"]["has_more"] is False
    answer = ada.get(f"/datasets/{other['id']}/parts", params=cursor)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "PAGINATION_INVALID_CURSOR")


def test_a_stranger_finds_nothing_to_send_or_list(door: Door, ada: Visitor) -> None:
    declared = ada.declare("datasets", BODY)
    bob = door.customer("bob@example.com", scopes=SEED_SCOPES)
    path = f"/datasets/{declared['id']}/parts"
    for answer in (bob.get(path), bob.post(path, ask(1)), bob.get("/datasets/absent/parts")):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "DATASET_NOT_FOUND")


@pytest.mark.parametrize(
    ("resource", "body"), [("datasets", BODY), ("datasets", b"small"), ("training-packages", b"a package")]
)
def test_a_repeated_declaration_is_answered_with_the_first(ada: Visitor, resource: str, body: bytes) -> None:
    request = {"name": "rows", "size_bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    first = ada.post(f"/{resource}", request, headers=KEY)
    again = ada.post(f"/{resource}", request | {"sha256": str(request["sha256"]).upper()}, headers=KEY)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    other = ada.post(f"/{resource}", request | {"name": "other"}, headers=KEY)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "IDEMPOTENCY_CONFLICT")
    assert len(ada.get(f"/{resource}").json()["data"]) == 1


def test_a_malformed_key_is_refused(ada: Visitor) -> None:
    request = {"name": "rows", "size_bytes": 1, "sha256": "0" * 64}
    answer = ada.post("/datasets", request, headers={"Idempotency-Key": "short"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "IDEMPOTENCY_KEY_INVALID")
    assert ada.get("/datasets").json()["data"] == []
