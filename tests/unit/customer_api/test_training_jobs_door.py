"""Training jobs through the customer door."""

import json
from dataclasses import replace
from typing import Any

import pytest

from gpupool.ids import artifact_id
from gpupool.jobs.model import JobStatus
from gpupool.units.model import Failure, UnitStatus
from gpupool.wire.failures import Blame, FailureCode
from gpupool.wire.vocabulary import ArtifactKind
from tests.factories import an_output
from tests.support.customer_door import SEED_SCOPES, Door, Visitor
from tests.support.work import a_unit

KEY = {"Idempotency-Key": "client-uuid-12345678"}


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def ada(door: Door) -> Visitor:
    return door.customer(scopes=SEED_SCOPES)


def with_work(door: Door, job_id: str) -> str:
    """Gives a job two units and an artifact; answers the artifact's id."""
    prepare = a_unit(0, id=f"{job_id}.00000", job_id=job_id, name="prepare", status=UnitStatus.COMPLETED, credits=2)
    failure = Failure(FailureCode.SCRIPT_FAILED, Blame.USER, "exit code 1", f"{job_id}.00001", 1, 1, "Traceback")
    train = a_unit(
        1,
        id=f"{job_id}.00001",
        job_id=job_id,
        needs=(0,),
        attempt=1,
        status=UnitStatus.FAILED,
        failure=failure,
        outputs=(an_output("log.txt", kind=ArtifactKind.LOGS),),
        node_name="brisk-otter",
        progress_fraction=0.5,
        metrics={"loss": float("inf"), "accuracy": 0.5},
    )
    door.ports.units.add_all((prepare, train))
    return artifact_id(train.id, "log.txt")


def test_a_job_is_quoted_held_and_queued(ada: Visitor) -> None:
    job = ada.job()
    assert job["status"] == "queued"
    assert job["quote"]["credits"] > 0
    assert job["required_disk_mb"] == 1024
    assert job["sensitivity"] == "public"
    assert job["failure"] is None
    assert ada.get(f"/training-jobs/{job['id']}").json() == job


@pytest.mark.parametrize(
    ("changes", "vram", "seconds"),
    [
        ({}, 0, 600),
        ({"required_vram_mb": None, "min_vram_mb": 8000}, 8000, 600),
        ({"max_runtime_seconds": None, "max_runtime_minutes": 60}, 0, 3600),
        ({"required_vram_mb": 8000, "min_vram_mb": 8000, "max_runtime_minutes": 10}, 8000, 600),
        ({"max_runtime_seconds": None}, 0, 3600),
    ],
)
def test_both_published_spellings_mean_the_same(ada: Visitor, changes: dict[str, Any], vram: int, seconds: int) -> None:
    job = ada.job(**changes)
    assert (job["required_vram_mb"], job["max_runtime_seconds"]) == (vram, seconds)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"min_vram_mb": 1}, "/min_vram_mb"),
        ({"max_runtime_minutes": 11}, "/max_runtime_minutes"),
        ({"required_vram_mb": None}, "/required_vram_mb"),
        ({"required_vram_mb": -1}, "/required_vram_mb"),
        ({"required_vram_mb": 80_001}, "/required_vram_mb"),
        ({"required_disk_mb": 200_001}, "/required_disk_mb"),
        ({"max_runtime_seconds": 59}, "/max_runtime_seconds"),
        ({"max_runtime_seconds": 21_601}, "/max_runtime_seconds"),
        ({"max_runtime_seconds": None, "max_runtime_minutes": 361}, "/max_runtime_minutes"),
        ({"sensitivity": "secret"}, "/sensitivity"),
        ({"sensitivity": "private"}, "/sensitivity"),
        ({"parameters": []}, "/parameters"),
        ({"name": ""}, "/name"),
        ({"priority": 5}, "/priority"),
        ({"parameters": {"epochs": 3}}, "/parameters/epochs"),
    ],
)
def test_a_request_that_cannot_be_served_names_its_field_and_holds_nothing(
    ada: Visitor, changes: dict[str, Any], field: str
) -> None:
    answer = ada.post("/training-jobs", ada.job_request(**changes))
    assert answer.status_code == 400
    assert answer.json()["error"]["details"]["field"] == field
    assert ada.get("/training-jobs").json()["data"] == []
    assert ada.door.core.credits.balance(ada.id).held == 0


def test_a_nested_parameter_is_refused(ada: Visitor) -> None:
    answer = ada.post("/training-jobs", ada.job_request(parameters={"a": {"b": 1}}))
    assert answer.status_code == 400
    assert answer.json()["error"]["details"]["field"].startswith("/parameters/a")


@pytest.mark.parametrize("path", ["/training-jobs", "/training-jobs/quote"])
@pytest.mark.parametrize("value", [1, []])
def test_a_parameter_whose_name_is_no_text_is_refused(ada: Visitor, path: str, value: object) -> None:
    body = json.dumps(ada.job_request(parameters={"half a character: \ud800": value})).encode()
    answer = ada.post(path, content=body, headers={"content-type": "application/json"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "VALIDATION_FAILED")
    assert error["details"]["field"].startswith("/parameters")


def test_the_same_key_and_body_answer_the_first_job_again(ada: Visitor) -> None:
    request = ada.job_request()
    first = ada.post("/training-jobs", request, headers=KEY)
    older = {name: value for name, value in request.items() if name != "max_runtime_seconds"} | {"max_runtime_minutes": 10}
    for again in (ada.post("/training-jobs", request, headers=KEY), ada.post("/training-jobs", older, headers=KEY)):
        assert again.json() == first.json()
        assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert len(ada.get("/training-jobs").json()["data"]) == 1


def test_the_same_key_with_another_body_is_a_conflict(ada: Visitor) -> None:
    request = ada.job_request()
    ada.post("/training-jobs", request, headers=KEY)
    answer = ada.post("/training-jobs", request | {"name": "other"}, headers=KEY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "IDEMPOTENCY_CONFLICT")


def test_the_same_key_of_another_customer_means_nothing(door: Door, ada: Visitor) -> None:
    first = ada.post("/training-jobs", ada.job_request(), headers=KEY).json()
    bob = door.customer("bob@example.com", scopes=SEED_SCOPES)
    second = bob.post("/training-jobs", bob.job_request(), headers=KEY)
    assert second.status_code == 201
    assert second.json()["id"] != first["id"]


@pytest.mark.parametrize("key", ["short", "has spaces in it", "x" * 200])
def test_a_malformed_idempotency_key_is_refused(ada: Visitor, key: str) -> None:
    answer = ada.post("/training-jobs", ada.job_request(), headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "IDEMPOTENCY_KEY_INVALID")


def test_inputs_must_be_finalized_and_ones_own(door: Door, ada: Visitor) -> None:
    bob = door.customer("bob@example.com", scopes=SEED_SCOPES)
    request = ada.job_request()
    pending = ada.declare("datasets", b"rows")["id"]
    cases = [
        ({"dataset_id": pending}, 409, "DATASET_NOT_READY", "/dataset_id"),
        ({"dataset_id": bob.upload("datasets", b"rows")["id"]}, 404, "DATASET_NOT_FOUND", "/dataset_id"),
        ({"training_package_id": request["dataset_id"]}, 404, "TRAINING_PACKAGE_NOT_FOUND", "/training_package_id"),
    ]
    for changes, status, code, field in cases:
        answer = ada.post("/training-jobs", request | changes)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert answer.json()["error"]["details"]["field"] == field
    assert door.core.credits.balance(ada.id).held == 0


def test_too_little_credit_is_said_with_the_numbers(door: Door) -> None:
    poor = door.customer(scopes=SEED_SCOPES, credits=1)
    answer = poor.post("/training-jobs", poor.job_request(max_runtime_seconds=21_600))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (402, "CREDIT_INSUFFICIENT")
    assert error["details"]["available"] == 1
    assert error["details"]["required"] > 1
    assert poor.get("/training-jobs").json()["data"] == []


def test_jobs_are_listed_newest_first_and_by_status(door: Door, ada: Visitor) -> None:
    ids = [ada.job()["id"] for _ in range(3)]
    door.world.jobs[ids[0]] = replace(door.world.jobs[ids[0]], status=JobStatus.COMPLETED)
    assert [job["id"] for job in ada.get("/training-jobs").json()["data"]] == ids[::-1]
    assert [job["id"] for job in ada.get("/training-jobs?status=completed&limit=50").json()["data"]] == [ids[0]]
    assert ada.get("/training-jobs?status=done").json()["error"]["details"]["field"] == "status"


def test_a_cursor_keeps_its_filter(ada: Visitor) -> None:
    for _ in range(2):
        ada.job()
    cursor = ada.get("/training-jobs?status=queued&limit=1").json()["page"]["next_cursor"]
    assert len(ada.get(f"/training-jobs?status=queued&cursor={cursor}").json()["data"]) == 1
    assert ada.get(f"/training-jobs?cursor={cursor}").json()["error"]["code"] == "PAGINATION_INVALID_CURSOR"


def test_cancelling_is_accepted_and_may_be_repeated(ada: Visitor) -> None:
    job = ada.job()
    first = ada.post(f"/training-jobs/{job['id']}/cancel")
    assert first.status_code == 202
    assert first.json()["cancel_requested_at"] is not None
    assert ada.post(f"/training-jobs/{job['id']}/cancel").json() == first.json()


def test_what_has_ended_cannot_be_cancelled(door: Door, ada: Visitor) -> None:
    job = ada.job()
    door.world.jobs[job["id"]] = replace(door.world.jobs[job["id"]], status=JobStatus.COMPLETED)
    assert ada.post(f"/training-jobs/{job['id']}/cancel").json()["error"]["code"] == "JOB_NOT_CANCELLABLE"


def test_units_tell_their_state_and_keep_the_fleets_secrets(door: Door, ada: Visitor) -> None:
    job = ada.job()
    with_work(door, job["id"])
    answer = ada.get(f"/training-jobs/{job['id']}/compute-units")
    prepare, train = answer.json()["data"]
    assert (prepare["status"], prepare["credits"], prepare["needs"]) == ("completed", 2, [])
    assert train["needs"] == [prepare["id"]]
    assert train["node"] == "brisk-otter"
    assert train["progress"] == {"fraction": 0.5, "stage": "", "metrics": {"loss": None, "accuracy": 0.5}}
    assert train["failure"]["code"] == "SCRIPT_FAILED"
    assert train["failure"]["log_tail"] == "Traceback"
    assert "lease" not in answer.text


def test_artifacts_are_listed_without_their_place_and_downloaded_by_url(door: Door, ada: Visitor) -> None:
    job = ada.job()
    artifact = with_work(door, job["id"])
    listed = ada.get(f"/training-jobs/{job['id']}/artifacts")
    assert [item["id"] for item in listed.json()["data"]] == [artifact]
    place = f"jobs/{job['id']}/{job['id']}.00001/1/log.txt"
    assert "jobs/" not in listed.text
    minted = ada.post(f"/training-jobs/{job['id']}/artifacts/{artifact}/download-url").json()
    assert minted["download_url"].startswith(f"memory://{place}?expires=900")
    assert minted["expires_at"] == "2026-01-01T00:15:00.000Z"


def test_another_customers_job_does_not_exist(door: Door, ada: Visitor) -> None:
    job = ada.job()
    artifact = with_work(door, job["id"])
    bob = door.customer("bob@example.com", scopes=SEED_SCOPES)
    path = f"/training-jobs/{job['id']}"
    for answer in (
        bob.get(path),
        bob.post(f"{path}/cancel"),
        bob.get(f"{path}/compute-units"),
        bob.get(f"{path}/artifacts"),
        bob.post(f"{path}/artifacts/{artifact}/download-url"),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "JOB_NOT_FOUND")
    assert bob.get("/training-jobs").json()["data"] == []
    assert ada.get(path).json()["cancel_requested_at"] is None


def test_an_artifact_belongs_to_its_job(door: Door, ada: Visitor) -> None:
    one, other = ada.job(), ada.job()
    artifact = with_work(door, one["id"])
    answer = ada.post(f"/training-jobs/{other['id']}/artifacts/{artifact}/download-url")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ARTIFACT_NOT_FOUND")


def test_ids_longer_than_any_id_are_not_found(ada: Visitor) -> None:
    job = ada.job()
    assert ada.get(f"/training-jobs/{'x' * 5000}").json()["error"]["code"] == "JOB_NOT_FOUND"
    answer = ada.post(f"/training-jobs/{job['id']}/artifacts/{'x' * 5000}/download-url")
    assert answer.json()["error"]["code"] == "ARTIFACT_NOT_FOUND"


def test_money_is_shown_to_its_owner_only(door: Door) -> None:
    ada, bob = door.customer(credits=1000), door.customer("bob@example.com", credits=5)
    quoted = ada.job()["quote"]["credits"]
    balance = ada.get("/usage/summary").json()["credits"]
    assert balance == {"available": 1000 - quoted, "held": quoted, "spent": 0, "granted": 1000}
    assert {(entry["kind"], entry["amount"]) for entry in ada.get("/credits/ledger?limit=100").json()["data"]} == {
        ("grant", 1000),
        ("hold", quoted),
    }
    assert bob.get("/usage/summary").json()["credits"]["granted"] == 5
    assert len(bob.get("/credits/ledger").json()["data"]) == 1
