"""From an e-mail address to a model on disk, and what it cost."""

import hashlib
import uuid
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from local.bringup import LocalStack
from local.seed import SCOPES
from tests.stack import packages
from tests.stack.customers import DATA, PASSWORD, Customer, Json, call, check_books, sign_in
from tests.stack.machines import Machines
from tests.stack.waiting import eventually

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def trained(customer: Customer, machines: Machines, desk: Path) -> Json:
    """A completed job of a package without a manifest."""
    job = customer.ended(customer.train(packages.script(packages.TRAIN), desk))
    assert job["status"] == "completed", job
    return job


def test_sign_in_makes_a_key_that_is_shown_once(local_stack: LocalStack, customer: Customer) -> None:
    base = f"{local_stack.api}/api/v1/customer"
    signed_in = sign_in(local_stack.api, email=customer.email, password=PASSWORD)
    session = {"Authorization": f"Bearer {signed_in.body['session_token']}"}

    made = call("POST", f"{base}/api-keys", headers=session, body={"name": "laptop", "scopes": list(SCOPES)})
    listed = call("GET", f"{base}/api-keys", headers=session)

    assert signed_in.status == 200
    assert signed_in.body["customer"]["email"] == customer.email
    assert "gpu_agent_session=" in signed_in.headers["set-cookie"]
    assert made.status == 201
    assert made.body["key"].startswith("sk_alpha_")
    assert call("GET", f"{base}/training-jobs", headers={"X-API-Key": made.body["key"]}).status == 200
    assert made.body["id"] in [row["id"] for row in listed.body["data"]]
    assert made.body["key"] not in str(listed.body)


def test_wrong_password_opens_nothing(local_stack: LocalStack, customer: Customer) -> None:
    answer = sign_in(local_stack.api, email=customer.email, password="not this one")

    assert answer.status == 401
    assert "set-cookie" not in answer.headers


def test_every_unit_of_the_plan_is_completed(customer: Customer, trained: Json) -> None:
    units = customer.client.units(trained["id"])
    ids = {unit["name"]: unit["id"] for unit in units}

    assert {unit["name"]: (unit["kind"], unit["status"], unit["attempt"]) for unit in units} == {
        "prepare": ("cpu", "completed", 1),
        "train": ("gpu", "completed", 1),
        "package": ("cpu", "completed", 1),
    }
    assert {unit["name"]: unit["needs"] for unit in units} == {
        "prepare": [],
        "train": [ids["prepare"]],
        "package": [ids["train"]],
    }
    assert all(unit["node"].startswith("node-") and unit["failure"] is None for unit in units)
    assert trained["progress"] == {"units_total": 3, "units_completed": 3}
    assert customer.unit(trained, "train")["progress"]["metrics"]["loss"] == 0.25
    assert trained["created_at"] <= trained["started_at"] <= trained["finished_at"]


def test_artifacts_arrive_as_they_were_promised(customer: Customer, trained: Json) -> None:
    artifacts = customer.client.artifacts(trained["id"])

    assert {"model", "metrics", "logs"} <= {artifact["kind"] for artifact in artifacts}
    for artifact in artifacts:
        content = customer.client.download(trained["id"], artifact["id"])
        assert len(content) == artifact["size_bytes"], artifact
        assert hashlib.sha256(content).hexdigest() == artifact["sha256"], artifact
    assert packages.unpacked(customer.artifact(trained, "package", "model.tar.gz"))["model.txt"] == b"weights"


def test_each_completed_unit_is_debited_once(customer: Customer, trained: Json) -> None:
    entries = check_books(customer, trained)

    assert [entry["kind"] for entry in entries] == ["hold", "debit", "debit", "debit", "release"]
    assert trained["credits_spent"] <= trained["quote"]["credits"]
    assert sum(line["credits"] for line in trained["quote"]["lines"]) == trained["quote"]["credits"]


def test_key_repeats_the_job_and_refuses_another(customer: Customer, machines: Machines, desk: Path) -> None:
    package = customer.upload("training-packages", packages.script(packages.TRAIN), desk)
    body = customer.wish(package, customer.upload("datasets", DATA, desk))
    key = {"Idempotency-Key": str(uuid.uuid4())}

    first = customer.ask("POST", "/training-jobs", body=body, headers=key)
    again = customer.ask("POST", "/training-jobs", body=body, headers=key)
    other = customer.ask("POST", "/training-jobs", body=body | {"name": "another"}, headers=key)

    assert (first.status, again.status) == (201, 201)
    assert again.body["id"] == first.body["id"]
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert other.status == 409
    assert (other.error["code"], other.error["details"]["field"]) == ("IDEMPOTENCY_CONFLICT", "Idempotency-Key")
    done = customer.ended(first.body)
    assert done["status"] == "completed"
    assert [entry["kind"] for entry in check_books(customer, done)].count("hold") == 1


def test_download_url_opens_one_object_only(customer: Customer, trained: Json) -> None:
    artifacts = customer.client.artifacts(trained["id"])
    path = f"/training-jobs/{trained['id']}/artifacts/{artifacts[0]['id']}/download-url"
    url = customer.ask("POST", path).body["download_url"]
    signature = parse_qs(urlsplit(url).query)["X-Amz-Signature"][0]
    forged = url.replace(signature, signature[:-1] + ("0" if signature[-1] != "0" else "1"))
    other_key = url.replace(artifacts[0]["name"], next(a["name"] for a in artifacts if a["name"] != artifacts[0]["name"]), 1)
    longer = url.replace("X-Amz-Expires=900", "X-Amz-Expires=90000")
    unsigned = url.partition("?")[0]

    assert call("GET", url).status == 200
    assert len({url, forged, other_key, longer, unsigned}) == 5
    assert [call("GET", each).status for each in (forged, other_key, longer, unsigned)] == [403] * 4
    assert call("PUT", url, content=b"mine").status == 403
    assert call("DELETE", url).status == 403


def test_expired_download_url_opens_nothing(local_stack: LocalStack, customer: Customer, trained: Json) -> None:
    client = local_stack.account.client("s3")
    bucket = local_stack.variables["BUCKET"]
    listed = client.list_objects_v2(Bucket=bucket, Prefix=f"jobs/{trained['id']}/", MaxKeys=1)
    where = {"Bucket": bucket, "Key": listed["Contents"][0]["Key"]}

    url = client.generate_presigned_url("get_object", Params=where, ExpiresIn=2)

    assert call("GET", url).status == 200
    eventually(lambda: call("GET", url).status == 403, what="the URL's expiry", seconds=15)


def test_upload_url_takes_the_declared_bytes_only(customer: Customer) -> None:
    declared = customer.declare("datasets", DATA)
    target = declared["upload"]
    other_object = target["url"].replace(declared["id"], str(uuid.uuid4()))

    refused = [
        customer.send(declared, DATA[:-1]),
        customer.send(declared, DATA + b"5\n"),
        customer.send(declared, DATA[::-1]),
        call("PUT", other_object, headers=target["headers"], content=DATA),
        call("PUT", target["url"], headers=target["headers"] | {"Content-Type": "text/html"}, content=DATA),
    ]

    assert all(400 <= answer.status < 500 for answer in refused), refused
    assert customer.finalize("datasets", declared).error["code"] == "UPLOAD_MISSING"
    assert customer.send(declared, DATA).status == 200
    ready = [customer.finalize("datasets", declared) for _ in range(2)]
    assert [(answer.status, answer.body["status"]) for answer in ready] == [(200, "ready")] * 2
