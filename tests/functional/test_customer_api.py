"""The customer door's function with API Gateway's events, on the real adapters."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from functions.customer_api.handler import handler
from gpupool import aws, bootstrap
from gpupool.accounts.model import Scope
from gpupool.events.decide import events_of_unit
from gpupool.objects.store import to_base64
from gpupool.twins import PlainHasher
from gpupool.units.model import UnitStatus
from gpupool.uploads.model import Upload, UploadKind
from gpupool.wire.vocabulary import ArtifactKind
from tests.factories import NOW, a_unit, an_output
from tests.support.deployment import BUCKET, deployed
from tests.support.events import Answer, invoke, load_event
from tests.support.packages import a_package

PREFIX = "/api/v1/customer/"
PASSWORD = "correct horse"
ROWS = b"1,2\n"


@pytest.fixture(autouse=True)
def _deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with deployed(monkeypatch):
        secret = aws.secretsmanager().create_secret(Name="signing", SecretString="a secret of sixty-four characters")
        monkeypatch.setenv("SIGNING_SECRET_ARN", secret["ARN"])
        # Those of test_customer_accounts.py are hashed as slowly as in production.
        bootstrap.ports().__dict__["passwords"] = PlainHasher()
        yield


def send(
    case: str,
    *,
    key: str | None = None,
    token: str | None = None,
    path: str | None = None,
    query: str | None = None,
    **changes: Any,
) -> Answer:
    """The event of ``case``, with that API key or session and path, its body changed where named."""
    event = load_event(f"customer_api.{case}")
    if changes:
        event["body"] = json.dumps(json.loads(event["body"]) | changes)
    if key is not None:
        event["headers"]["x-api-key"] = key
    if token is not None:
        event["headers"].pop("x-api-key", None)
        event["headers"]["authorization"] = f"Bearer {token}"
    if path is not None:
        event["rawPath"] = event["requestContext"]["http"]["path"] = PREFIX + path
    if query is not None:
        event["rawQueryString"] = query
    return invoke(handler, event)


def a_customer(email: str = "customer@example.com") -> str:
    """A customer with credits; answers an API key."""
    ports = bootstrap.ports()
    accounts = bootstrap.build_accounts(ports)
    customer = accounts.create_customer(email=email, password=PASSWORD, name="Ada")
    bootstrap.build_credits(ports).grant(customer.id, amount=1000, note="")
    return accounts.create_key(customer.id, name="k", scopes=frozenset(Scope), expires_at=None).plaintext


def row_of(key: str, kind: UploadKind, upload_id: str) -> Upload:
    owner = bootstrap.customer_core().accounts.by_api_key(key).customer_id
    upload = bootstrap.ports().uploads.get(owner, kind, upload_id)
    assert upload is not None
    return upload


def put(upload: Upload, body: bytes) -> None:
    """What the presigned PUT leaves behind. moto keeps a checksum only when its algorithm is named as well."""
    checksum = {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": to_base64(hashlib.sha256(body).hexdigest())}
    aws.s3().put_object(Bucket=BUCKET, Key=upload.key, Body=body, ContentType=upload.content_type, **checksum)


def uploaded(key: str, kind: UploadKind, body: bytes) -> dict[str, Any]:
    case, resource = ("dataset", "datasets") if kind is UploadKind.DATASET else ("training_package", "training-packages")
    declared = send(f"create_{case}", key=key, size_bytes=len(body), sha256=hashlib.sha256(body).hexdigest())
    assert declared.status == 201, declared.body
    put(row_of(key, kind, declared.body["id"]), body)
    ready = send("post", key=key, path=f"{resource}/{declared.body['id']}/finalize")
    assert ready.status == 200, ready.body
    found: dict[str, Any] = ready.body
    return found


def a_job(key: str, **changes: Any) -> Answer:
    dataset = uploaded(key, UploadKind.DATASET, ROWS)
    package = uploaded(key, UploadKind.TRAINING_PACKAGE, a_package())
    return send("create_training_job", key=key, dataset_id=dataset["id"], training_package_id=package["id"], **changes)


def test_a_person_signs_in_and_is_known_by_the_cookie() -> None:
    a_customer()
    login = send("login")
    assert login.status == 200
    (cookie,) = login.cookies
    assert {"HttpOnly", "Secure", "SameSite=lax"} <= set(cookie.split("; "))
    event = load_event("customer_api.me_by_cookie")
    event["cookies"][1] = cookie.partition(";")[0]
    assert invoke(handler, event).body["email"] == "customer@example.com"


def test_a_key_made_in_the_portal_works_until_it_is_revoked() -> None:
    a_customer()
    token = send("login").body["session_token"]
    made = send("create_api_key", token=token)
    assert made.status == 201
    assert send("get", key=made.body["key"], path="datasets").status == 200
    assert send("delete", token=token, path=f"api-keys/{made.body['id']}").status == 204
    assert send("get", key=made.body["key"], path="datasets").code == "API_KEY_REVOKED"
    listed = send("get", token=token, path="api-keys").body["data"]
    assert {found["id"]: found["revoked_at"] is not None for found in listed}[made.body["id"]]


def test_a_wrong_password_is_refused() -> None:
    a_customer()
    assert send("login", password="wrong").code == "LOGIN_FAILED"
    assert send("login", email="nobody@example.com").code == "LOGIN_FAILED"


def test_the_request_id_is_the_gateways() -> None:
    answer = send("get", key="nonsense")
    assert answer.headers["x-request-id"] == "JKJaXmPLvHcESHB="
    assert answer.body["error"]["request_id"] == "JKJaXmPLvHcESHB="
    assert answer.code == "API_KEY_INVALID"


def test_an_upload_url_signs_length_type_and_digest() -> None:
    key = a_customer()
    upload = send("create_dataset", key=key, size_bytes=4).body["upload"]
    assert "X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost%3Bx-amz-checksum-sha256" in upload["url"]
    assert "X-Amz-Expires=900" in upload["url"]
    assert upload["headers"]["Content-Length"] == "4"


def test_inputs_are_checked_against_what_arrived_in_the_bucket() -> None:
    key = a_customer()
    declared = send("create_dataset", key=key, size_bytes=len(ROWS), sha256=hashlib.sha256(ROWS).hexdigest()).body
    finalize = f"datasets/{declared['id']}/finalize"
    assert send("post", key=key, path=finalize).code == "UPLOAD_MISSING"
    put(row_of(key, UploadKind.DATASET, declared["id"]), b"3,4\n")
    assert send("post", key=key, path=finalize).code == "UPLOAD_MISMATCH"
    put(row_of(key, UploadKind.DATASET, declared["id"]), ROWS)
    assert send("post", key=key, path=finalize).body["status"] == "ready"


def test_a_package_is_read_by_ranges_from_the_bucket() -> None:
    manifest = b'[package]\nentry = "go.py"\n[parameters]\nepochs = 3\nrate = 1.0\n'
    body = a_package(("gpu-agent.toml", manifest), ("go.py", b"print()"))
    package = uploaded(a_customer(), UploadKind.TRAINING_PACKAGE, body)
    assert package["manifest"]["entry"] == "go.py"
    assert package["manifest"]["parameters"] == {"epochs": 3, "rate": 1.0}


def test_an_unsafe_package_stays_pending() -> None:
    key = a_customer()
    body = a_package(("../x.py", b""))
    declared = send("create_training_package", key=key, size_bytes=len(body), sha256=hashlib.sha256(body).hexdigest()).body
    put(row_of(key, UploadKind.TRAINING_PACKAGE, declared["id"]), body)
    assert send("post", key=key, path=f"training-packages/{declared['id']}/finalize").code == "PACKAGE_UNSAFE"
    assert send("get", key=key, path=f"training-packages/{declared['id']}").body["status"] == "pending_upload"


def test_a_job_from_submit_to_cancel() -> None:
    key = a_customer()
    created = a_job(key)
    assert created.status == 201, created.body
    job = created.body
    again = send("create_training_job", key=key, dataset_id=job["dataset_id"], training_package_id=job["training_package_id"])
    assert (again.status, again.body) == (201, job)
    assert again.headers["idempotent-replayed"] == "true"
    other = send("create_training_job", key=key, dataset_id=job["dataset_id"], training_package_id=job["dataset_id"])
    assert other.code == "IDEMPOTENCY_CONFLICT"
    assert send("get", key=key, path=f"training-jobs/{job['id']}").body == job
    assert [found["id"] for found in send("list_training_jobs", key=key).body["data"]] == [job["id"]]
    assert send("get", key=key, path=f"training-jobs/{job['id']}/compute-units").body["data"] == []
    cancelled = send("post", key=key, path=f"training-jobs/{job['id']}/cancel")
    assert (cancelled.status, cancelled.body["cancel_requested_at"] is None) == (202, False)


def test_credits_are_held_by_what_was_submitted() -> None:
    key = a_customer()
    quoted = a_job(key).body["quote"]["credits"]
    balance = send("get", key=key, path="usage/summary").body["credits"]
    assert balance == {"available": 1000 - quoted, "held": quoted, "spent": 0, "granted": 1000}
    entries = send("get", key=key, path="credits/ledger").body["data"]
    assert [(entry["kind"], entry["amount"]) for entry in entries] == [("hold", quoted), ("grant", 1000)]


def test_an_input_in_use_cannot_be_deleted() -> None:
    key = a_customer()
    job = a_job(key).body
    assert send("delete", key=key, path=f"datasets/{job['dataset_id']}").code == "DATASET_IN_USE"
    free = uploaded(key, UploadKind.DATASET, ROWS)
    where = row_of(key, UploadKind.DATASET, free["id"]).key
    assert send("delete", key=key, path=f"datasets/{free['id']}").status == 204
    assert send("get", key=key, path=f"datasets/{free['id']}").code == "DATASET_NOT_FOUND"
    assert bootstrap.ports().objects.head(where) is None


def test_an_artifact_is_downloaded_by_a_url_of_its_own() -> None:
    key = a_customer()
    job = a_job(key).body
    listed = f"training-jobs/{job['id']}/artifacts"
    outputs = (an_output("model.tar.gz"), an_output("log.txt", kind=ArtifactKind.LOGS))
    unit = a_unit(1, id=f"{job['id']}.00001", job_id=job["id"], status=UnitStatus.COMPLETED, attempt=1, outputs=outputs)
    bootstrap.ports().units.add_all((unit,))
    first = send("get", key=key, path=listed, query="limit=1").body
    assert [found["name"] for found in first["data"]] == ["log.txt"]
    (rest,) = send("get", key=key, path=listed, query=f"cursor={first['page']['next_cursor']}").body["data"]
    assert rest["name"] == "model.tar.gz"
    minted = send("post", key=key, path=f"{listed}/{rest['id']}/download-url")
    assert minted.status == 200
    assert "X-Amz-Expires=900" in minted.body["download_url"]
    assert f"jobs/{job['id']}/{unit.id}/1/model.tar.gz?" in minted.body["download_url"]
    for wrong in ("x", ".", job["id"], unit.id, f"{unit.id}.", f"{unit.id}.other", "another.00001.model.tar.gz"):
        assert send("post", key=key, path=f"{listed}/{wrong}/download-url").code == "ARTIFACT_NOT_FOUND", wrong


def test_a_job_is_quoted_and_then_watched_by_its_timeline_and_its_log() -> None:
    key = a_customer()
    job = a_job(key).body
    asked = {"dataset_id": job["dataset_id"], "training_package_id": job["training_package_id"]}
    offer = send("create_training_job", key=key, path="training-jobs/quote", **asked)
    assert (offer.status, offer.body["quote"], offer.body["affordable"]) == (200, job["quote"], True)

    ports = bootstrap.ports()
    unit = a_unit(0, id=f"{job['id']}.00000", job_id=job["id"], status=UnitStatus.RUNNING, attempt=1, started_at=NOW)
    ports.units.add_all((unit,))
    ports.events.add(events_of_unit(None, unit))
    for seq in (0, 2):
        aws.s3().put_object(Bucket=BUCKET, Key=f"logs/{job['id']}/{unit.id}/1/{seq:06d}.txt", Body=f"{seq} — fine\n".encode())

    (event,) = send("get", key=key, path=f"training-jobs/{job['id']}/events").body["data"]
    assert (event["type"], event["unit_id"], event["at"]) == ("unit.started", unit.id, "2026-01-01T00:00:00.000Z")
    log = send("get", key=key, path=f"training-jobs/{job['id']}/logs", query="tail=1").body
    assert (log["text"], log["missing"], log["size_bytes"], log["ended"]) == ("2 — fine\n", [1], 22, False)


def test_another_customer_finds_nothing_of_it() -> None:
    key = a_customer()
    job = a_job(key).body
    stranger = a_customer("bob@example.com")
    for case, path, code in (
        ("get", f"training-jobs/{job['id']}", "JOB_NOT_FOUND"),
        ("post", f"training-jobs/{job['id']}/cancel", "JOB_NOT_FOUND"),
        ("get", f"training-jobs/{job['id']}/compute-units", "JOB_NOT_FOUND"),
        ("get", f"training-jobs/{job['id']}/artifacts", "JOB_NOT_FOUND"),
        ("get", f"training-jobs/{job['id']}/events", "JOB_NOT_FOUND"),
        ("get", f"training-jobs/{job['id']}/logs", "JOB_NOT_FOUND"),
        ("post", f"training-jobs/{job['id']}/artifacts/x/download-url", "JOB_NOT_FOUND"),
        ("get", f"datasets/{job['dataset_id']}", "DATASET_NOT_FOUND"),
        ("post", f"datasets/{job['dataset_id']}/finalize", "DATASET_NOT_FOUND"),
        ("delete", f"datasets/{job['dataset_id']}", "DATASET_NOT_FOUND"),
        ("get", f"training-packages/{job['training_package_id']}", "TRAINING_PACKAGE_NOT_FOUND"),
        ("delete", f"training-packages/{job['training_package_id']}", "TRAINING_PACKAGE_NOT_FOUND"),
    ):
        answer = send(case, key=stranger, path=path)
        assert (answer.status, answer.code) == (404, code)
    assert send("list_training_jobs", key=stranger).body["data"] == []


def test_pages_run_through_the_table_with_signed_cursors() -> None:
    key = a_customer()
    ids = [send("create_dataset", key=key).body["id"] for _ in range(3)]
    first = send("get", key=key, path="datasets", query="limit=2").body
    assert [item["id"] for item in first["data"]] == ids[:0:-1]
    cursor = first["page"]["next_cursor"]
    second = send("get", key=key, path="datasets", query=f"limit=2&cursor={cursor}").body
    assert [item["id"] for item in second["data"]] == ids[:1]
    assert second["page"] == {"limit": 2, "next_cursor": None, "has_more": False}
    stranger = a_customer("bob@example.com")
    assert send("get", key=stranger, path="datasets", query=f"cursor={cursor}").code == "PAGINATION_INVALID_CURSOR"


def test_paths_that_nothing_serves_get_the_envelope() -> None:
    assert send("unknown_path").code == "NOT_FOUND"
