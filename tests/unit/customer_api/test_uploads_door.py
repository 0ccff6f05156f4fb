"""Datasets and training packages through the customer door."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from gpupool.uploads.model import UploadKind
from tests.support.customer_door import SEED_SCOPES, Door, Visitor
from tests.support.packages import TRAIN, a_package

RESOURCES = ["datasets", "training-packages"]
NOT_FOUND = {"datasets": "DATASET_NOT_FOUND", "training-packages": "TRAINING_PACKAGE_NOT_FOUND"}
BODY = a_package()


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def ada(door: Door) -> Visitor:
    return door.customer(scopes=SEED_SCOPES)


@pytest.mark.parametrize("resource", RESOURCES)
def test_an_upload_from_declaration_to_deletion(ada: Visitor, resource: str) -> None:
    declared = ada.declare(resource, BODY)
    assert declared["status"] == "pending_upload"
    assert declared["upload"]["method"] == "PUT"
    assert declared["upload"]["headers"]["Content-Length"] == str(len(BODY))
    ready = ada.upload(resource, BODY)
    assert ready["status"] == "ready"
    assert ada.post(f"/{resource}/{ready['id']}/finalize").json() == ready
    assert ada.get(f"/{resource}/{ready['id']}").json() == ready
    assert [item["id"] for item in ada.get(f"/{resource}").json()["data"]] == [ready["id"], declared["id"]]
    assert ada.delete(f"/{resource}/{ready['id']}").status_code == 204
    gone = ada.get(f"/{resource}/{ready['id']}")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, NOT_FOUND[resource])


def test_the_url_and_the_bucket_key_are_told_only_at_declaration(ada: Visitor) -> None:
    ready = ada.upload("datasets", BODY)
    assert "upload" not in ready
    assert "customers/" not in str(ready)


def test_a_packages_answer_tells_what_was_read(ada: Visitor) -> None:
    manifest = b"""
[package]
entry = "train.py"
[parameters]
learning_rate = 1.0
[strategy]
kind = "sweep"
[sweep]
objective = "accuracy"
goal = "maximize"
grid = {learning_rate = [1.0, 0.5]}
"""
    ready = ada.upload("training-packages", a_package(("gpu-agent.toml", manifest), ("train.py", TRAIN)))
    assert ready["manifest"] == {
        "strategy": "sweep",
        "entry": "train.py",
        "evaluate_entry": None,
        "requirements": None,
        "parameters": {"learning_rate": 1.0},
        "objective": "accuracy",
        "goal": "maximize",
        "parameter_sets_total": 2,
        "units_total": 0,
        "units": [],
    }
    assert ada.get("/training-packages").json()["data"][0]["manifest"]["parameter_sets_total"] == 2


def test_a_package_that_is_not_finalized_has_no_manifest_yet(ada: Visitor) -> None:
    assert ada.declare("training-packages", BODY)["manifest"] is None


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "/name"),
        ({"name": "x" * 201}, "/name"),
        ({"name": "a\x00b"}, "/name"),
        ({"name": 5}, "/name"),
        ({"size_bytes": 0}, "/size_bytes"),
        ({"size_bytes": -1}, "/size_bytes"),
        ({"size_bytes": 5_000_000_001}, "/size_bytes"),
        ({"size_bytes": "many"}, "/size_bytes"),
        ({"sha256": "abc"}, "/sha256"),
        ({"sha256": "g" * 64}, "/sha256"),
        ({"content_type": "text"}, "/content_type"),
        ({"content_type": "text/csv\r\nx-evil: 1"}, "/content_type"),
        ({"content_type": "text/csv\n"}, "/content_type"),
        ({"owner": "somebody"}, "/owner"),
    ],
)
def test_a_declaration_is_checked_field_by_field(ada: Visitor, resource: str, changes: dict[str, Any], field: str) -> None:
    declaration = {"name": "digits", "size_bytes": 10, "sha256": "a" * 64} | changes
    answer = ada.post(f"/{resource}", declaration)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_FAILED")
    assert answer.json()["error"]["details"]["field"] == field
    assert ada.get(f"/{resource}").json()["data"] == []


def test_packages_are_smaller_than_datasets(ada: Visitor) -> None:
    declaration = {"name": "digits", "size_bytes": 100_000_001, "sha256": "a" * 64}
    assert ada.post("/datasets", declaration).status_code == 201
    assert ada.post("/training-packages", declaration).json()["error"]["details"]["field"] == "/size_bytes"


def test_a_digest_in_capitals_is_the_same_digest(ada: Visitor) -> None:
    digest = hashlib.sha256(BODY).hexdigest()
    assert ada.upload("datasets", BODY, sha256=digest.upper())["sha256"] == digest


@pytest.mark.parametrize("resource", RESOURCES)
def test_finalizing_too_early_says_what_to_do(ada: Visitor, resource: str) -> None:
    declared = ada.declare(resource, BODY)
    answer = ada.post(f"/{resource}/{declared['id']}/finalize")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "UPLOAD_MISSING")


def test_other_bytes_than_declared_are_a_mismatch(door: Door, ada: Visitor) -> None:
    declared = ada.declare("datasets", BODY)
    upload = door.ports.uploads.get(ada.id, UploadKind.DATASET, declared["id"])
    assert upload is not None
    door.ports.objects.put(upload.key, b"x" * len(BODY))
    answer = ada.post(f"/datasets/{declared['id']}/finalize")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "UPLOAD_MISMATCH")
    assert answer.json()["error"]["details"]["field"] == "/sha256"


def test_an_unsafe_package_names_the_entry(door: Door, ada: Visitor) -> None:
    body = a_package(("train.py", TRAIN), ("../../etc/cron.d/x", b""))
    declared = ada.declare("training-packages", body)
    upload = door.ports.uploads.get(ada.id, UploadKind.TRAINING_PACKAGE, declared["id"])
    assert upload is not None
    door.ports.objects.put(upload.key, body)
    error = ada.post(f"/training-packages/{declared['id']}/finalize").json()["error"]
    assert (error["code"], error["details"]["entry"]) == ("PACKAGE_UNSAFE", "../../etc/cron.d/x")
    assert ada.get(f"/training-packages/{declared['id']}").json()["status"] == "pending_upload"


@pytest.mark.parametrize("resource", RESOURCES)
def test_what_a_live_job_uses_cannot_be_deleted(ada: Visitor, resource: str) -> None:
    job = ada.job()
    used = job["dataset_id"] if resource == "datasets" else job["training_package_id"]
    answer = ada.delete(f"/{resource}/{used}")
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == NOT_FOUND[resource].replace("NOT_FOUND", "IN_USE")


@pytest.mark.parametrize("resource", RESOURCES)
def test_another_customers_upload_does_not_exist(door: Door, ada: Visitor, resource: str) -> None:
    ready = ada.upload(resource, BODY)
    bob = door.customer("bob@example.com", scopes=SEED_SCOPES)
    path = f"/{resource}/{ready['id']}"
    for answer in (bob.get(path), bob.post(f"{path}/finalize"), bob.delete(path)):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, NOT_FOUND[resource])
    assert bob.get(f"/{resource}").json()["data"] == []
    assert ada.get(path).json() == ready


@pytest.mark.parametrize("resource", RESOURCES)
def test_pages_join_without_gap_or_repeat(ada: Visitor, resource: str) -> None:
    ids = [ada.declare(resource, BODY)["id"] for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        page = ada.get(f"/{resource}", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [item["id"] for item in page["data"]]
        cursor = page["page"]["next_cursor"]
        assert page["page"]["has_more"] is (cursor is not None)
    assert seen == ids[::-1]
    assert cursor is None


def test_a_cursor_opens_only_the_list_and_the_customer_it_was_made_for(door: Door, ada: Visitor) -> None:
    for _ in range(2):
        ada.declare("datasets", BODY)
        ada.declare("training-packages", BODY)
    cursor = ada.get("/datasets", params={"limit": 1}).json()["page"]["next_cursor"]
    bob = door.customer("bob@example.com", scopes=SEED_SCOPES)
    for answer in (
        bob.get("/datasets", params={"cursor": cursor}),
        ada.get("/training-packages", params={"cursor": cursor}),
        ada.get("/datasets", params={"cursor": cursor[:-2]}),
        ada.get("/datasets", params={"cursor": "nonsense"}),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "PAGINATION_INVALID_CURSOR")


@pytest.mark.parametrize("limit", ["0", "101", "many", "-1"])
def test_a_limit_is_between_one_and_a_hundred(ada: Visitor, limit: str) -> None:
    answer = ada.get("/datasets", params={"limit": limit})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_FAILED")
    assert answer.json()["error"]["details"]["field"] == "limit"


def test_a_manifest_of_ten_thousand_units_is_listed_without_them(door: Door, ada: Visitor) -> None:
    ready = ada.upload("training-packages", BODY)
    row = door.ports.uploads.get(ada.id, UploadKind.TRAINING_PACKAGE, ready["id"])
    assert row is not None
    assert row.manifest is not None
    unit = {"name": "a", "entry": "train.py", "kind": "cpu", "needs": [], "parameters": {}}
    manifest = row.manifest | {"strategy": "dag", "units": [unit] * 100}
    door.world.uploads[row.owner_kind, row.id] = replace(row, manifest=manifest)
    assert "units" not in ada.get("/training-packages").json()["data"][0]["manifest"]
    assert len(ada.get(f"/training-packages/{row.id}").json()["manifest"]["units"]) == 100
