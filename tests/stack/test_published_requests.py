"""The requests of the published collection, in its older spelling, as the demo customer of ``make up``."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.bringup import LocalStack
from tests.stack import packages
from tests.stack.customers import DATA, Customer, Json, call, sign_in

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def demo(local_stack: LocalStack) -> Customer:
    """Who ``stack.env`` says the caller is."""
    variables = local_stack.variables
    return Customer(api=variables["GPU_AGENT_API"], email=variables["GPU_AGENT_EMAIL"], key=variables["GPU_AGENT_API_KEY"])


@pytest.fixture(scope="module")
def session(local_stack: LocalStack, demo: Customer) -> dict[str, str]:
    answer = sign_in(demo.api, email=demo.email, password=local_stack.variables["GPU_AGENT_PASSWORD"])
    assert answer.status == 200
    assert answer.body["session_token"]
    return {"Authorization": f"Bearer {answer.body['session_token']}"}


@pytest.fixture(scope="module")
def created(demo: Customer, desk: Path) -> Iterator[Json]:
    """The published training job; no machine of the tests has the GPU that it asks for."""
    body: dict[str, Any] = {
        "name": "my-tiny-mlp",
        "dataset_id": demo.upload("datasets", DATA, desk)["id"],
        "training_package_id": demo.upload("training-packages", packages.script(packages.TRAIN), desk)["id"],
        "sensitivity": "public",
        "min_vram_mb": 8000,
        "max_runtime_minutes": 60,
    }
    answer = demo.ask("POST", "/training-jobs", body=body, headers={"Idempotency-Key": f"postman-{int(time.time())}"})
    assert answer.status == 201, answer
    yield answer.body
    demo.client.cancel(answer.body["id"])
    demo.ended(answer.body)


def test_public_facts_need_no_key(demo: Customer) -> None:
    for path in ("config", "meta"):
        answer = call("GET", f"{demo.api}/api/v1/customer/{path}")
        assert (answer.status, answer.body["api_version"]) == (200, "v1-alpha")


def test_session_knows_its_customer(demo: Customer, session: dict[str, str]) -> None:
    me = call("GET", f"{demo.api}/api/v1/customer/auth/me", headers=session)

    assert me.status == 200
    assert me.body["email"] == demo.email
    assert call("GET", f"{demo.api}/api/v1/customer/auth/me").status == 401


def test_session_makes_and_lists_keys(demo: Customer, session: dict[str, str]) -> None:
    url = f"{demo.api}/api/v1/customer/api-keys"
    body = {"name": "postman-key", "scopes": ["dataset:write", "training:write", "artifact:read", "usage:read"]}

    made = call("POST", url, headers=session, body=body)
    listed = call("GET", f"{url}?limit=50", headers=session)

    assert made.status == 201
    assert made.body["key"].startswith("sk_alpha_")
    assert len(made.body["key"]) == 33
    assert listed.status == 200
    assert listed.body["page"]["limit"] == 50
    assert made.body["id"] in [key["id"] for key in listed.body["data"]]
    assert call("POST", url, headers={"X-API-Key": made.body["key"]}, body=body).status == 401


def test_older_spelling_means_the_newer(demo: Customer, created: Json) -> None:
    asked = {name: created[name] for name in ("name", "required_vram_mb", "max_runtime_seconds", "sensitivity")}

    assert asked == {"name": "my-tiny-mlp", "required_vram_mb": 8000, "max_runtime_seconds": 3600, "sensitivity": "public"}
    assert created["status"] in {"queued", "planning"}
    assert [line["capability"] for line in created["quote"]["lines"]] == ["cpu", "gpu-8g"]


def test_jobs_are_listed_and_read(demo: Customer, created: Json) -> None:
    listed = demo.ask("GET", "/training-jobs?limit=50")
    read = demo.ask("GET", f"/training-jobs/{created['id']}")

    assert (listed.status, read.status) == (200, 200)
    assert created["id"] in [job["id"] for job in listed.body["data"]]
    assert set(listed.body["page"]) == {"limit", "next_cursor", "has_more"}
    assert (read.body["id"], set(read.body)) == (created["id"], set(created))
    assert demo.ask("GET", "/training-jobs?limit=50&status=completed").status == 200
    for part in ("compute-units", "artifacts"):
        assert demo.ask("GET", f"/training-jobs/{created['id']}/{part}").status == 200


def test_usage_and_ledger_show_the_hold(demo: Customer, created: Json) -> None:
    usage = demo.ask("GET", "/usage/summary")
    ledger = demo.ask("GET", "/credits/ledger?limit=100")

    assert (usage.status, ledger.status) == (200, 200)
    assert usage.body["credits"]["held"] > 0
    assert ledger.body["page"]["limit"] == 100
    held = next(entry for entry in ledger.body["data"] if entry["kind"] == "hold" and entry["job_id"] == created["id"])
    assert held["amount"] == created["quote"]["credits"]


def test_days_and_files_show_the_hold(demo: Customer, created: Json) -> None:
    daily = demo.ask("GET", "/usage/daily?days=30")
    export, statement = demo.ask("GET", "/usage/export.csv"), demo.ask("GET", "/credits/statement.csv")

    assert (daily.status, len(daily.body["data"])) == (200, 30)
    assert daily.body["totals"]["credits_held"] >= created["quote"]["credits"]
    for file in (export, statement):
        assert (file.status, file.headers["content-type"]) == (200, "text/csv; charset=utf-8")
        assert file.headers["content-disposition"].startswith("attachment; filename=")
    lines = [line.split(",") for line in statement.body.decode().split("\r\n")[1:-1]]
    credits = demo.balance()
    assert [str(credits[name]) for name in ("available", "held", "spent")] == lines[-1][-3:]


def test_removed_image_jobs_point_to_training(demo: Customer) -> None:
    for path in ("/jobs/image", "/jobs/image-api"):
        answer = demo.ask("POST", path, body={"prompt": "a cat"})
        assert (answer.status, answer.error["code"]) == (410, "LEGACY_DEPRECATED")
        assert "training-jobs" in str(answer.error)
    for path in ("/jobs", "/jobs/1", "/models", "/artifacts/1/signed-url"):
        assert demo.ask("GET", path).status == 404
