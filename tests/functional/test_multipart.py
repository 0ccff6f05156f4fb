"""Uploads in parts and idempotent declarations, with API Gateway's events, on the real adapters."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from functions.customer_api.handler import handler
from gpupool import aws, bootstrap
from gpupool.accounts.model import Scope
from gpupool.objects.store import to_base64
from gpupool.twins import PlainHasher
from gpupool.uploads.model import Upload, UploadKind
from gpupool.uploads.parts import MULTIPART_ABOVE_BYTES
from tests.support.deployment import BUCKET, deployed
from tests.support.events import Answer, invoke, load_event

PREFIX = "/api/v1/customer/"
PART = 8 * 1024 * 1024
SIZE = MULTIPART_ABOVE_BYTES + 1
PARTS_TOTAL = 12
FULL, REST = bytes(PART), bytes(SIZE % PART)
LARGE = {"size_bytes": SIZE, "sha256": hashlib.sha256(FULL * 11 + REST).hexdigest()}
KEY = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


@pytest.fixture(autouse=True)
def _deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with deployed(monkeypatch):
        secret = aws.secretsmanager().create_secret(Name="signing", SecretString="a secret of sixty-four characters")
        monkeypatch.setenv("SIGNING_SECRET_ARN", secret["ARN"])
        # Those of test_customer_accounts.py are hashed as slowly as in production.
        bootstrap.ports().__dict__["passwords"] = PlainHasher()
        yield


@pytest.fixture
def api_key() -> str:
    accounts = bootstrap.build_accounts(bootstrap.ports())
    customer = accounts.create_customer(email="customer@example.com", password="correct horse", name="Ada")
    return accounts.create_key(customer.id, name="k", scopes=frozenset(Scope), expires_at=None).plaintext


def send(case: str, api_key: str, *, path: str | None = None, once: str | None = None, **changes: Any) -> Answer:
    """The event of ``case`` with that path and ``Idempotency-Key``, its body changed where named."""
    event = load_event(f"customer_api.{case}")
    event["headers"]["x-api-key"] = api_key
    if once is not None:
        event["headers"]["idempotency-key"] = once
    if path is not None:
        event["rawPath"] = event["requestContext"]["http"]["path"] = PREFIX + path
    if changes:
        event["body"] = json.dumps(json.loads(event["body"]) | changes)
    return invoke(handler, event)


def row_of(api_key: str, upload_id: str) -> Upload:
    owner = bootstrap.customer_core().accounts.by_api_key(api_key).customer_id
    upload = bootstrap.ports().uploads.get(owner, UploadKind.DATASET, upload_id)
    assert upload is not None
    return upload


def put(upload: Upload, *numbers: int) -> None:
    """What presigned PUTs of these parts leave behind."""
    assert upload.multipart is not None
    for number in numbers:
        body = REST if number == PARTS_TOTAL else FULL
        terms = {"Bucket": BUCKET, "Key": upload.key, "UploadId": upload.multipart.id, "PartNumber": number}
        aws.s3().upload_part(**terms, Body=body, ChecksumSHA256=to_base64(hashlib.sha256(body).hexdigest()))


def unfinished() -> list[Any]:
    return aws.s3().list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])


def test_a_signed_part_binds_number_length_and_digest(api_key: str) -> None:
    declared = send("create_dataset", api_key, **LARGE).body
    assert (declared["upload"]["method"], declared["upload"]["parts_total"]) == ("MULTIPART", PARTS_TOTAL)
    answer = send("sign_parts", api_key, path=f"datasets/{declared['id']}/parts")
    assert answer.status == 200, answer.body
    (part,) = answer.body["parts"]
    assert "partNumber=12" in part["url"]
    assert "X-Amz-SignedHeaders=content-length%3Bhost%3Bx-amz-checksum-sha256" in part["url"]
    assert "X-Amz-Expires=900" in part["url"]
    assert part["headers"]["Content-Length"] == str(len(REST))


def test_parts_are_listed_put_together_and_ready(api_key: str) -> None:
    declared = send("create_dataset", api_key, **LARGE).body
    upload = row_of(api_key, declared["id"])
    put(upload, 1, 2)
    listed = send("get", api_key, path=f"datasets/{upload.id}/parts").body["data"]
    assert [(part["part_number"], part["size_bytes"]) for part in listed] == [(1, PART), (2, PART)]
    early = send("post", api_key, path=f"datasets/{upload.id}/finalize")
    assert (early.status, early.code) == (409, "UPLOAD_MISSING")
    assert early.body["error"]["details"]["missing_parts"] == list(range(3, 13))
    put(upload, *range(3, 13))
    assert send("post", api_key, path=f"datasets/{upload.id}/finalize").body["status"] == "ready"
    assert send("get", api_key, path=f"datasets/{upload.id}/parts").code == "UPLOAD_NOT_PENDING"
    head = bootstrap.ports().objects.head(upload.key)
    assert head is not None
    assert head.size_bytes == SIZE
    assert unfinished() == []


def test_parts_that_were_put_together_by_a_call_that_broke_off_are_ready(api_key: str) -> None:
    upload = row_of(api_key, send("create_dataset", api_key, **LARGE).body["id"])
    put(upload, *range(1, 13))
    assert upload.multipart is not None
    objects = bootstrap.ports().objects
    parts = objects.list_parts(upload.key, upload_id=upload.multipart.id, after=0, limit=1000)
    assert parts is not None
    objects.complete_multipart(upload.key, upload_id=upload.multipart.id, parts=parts)
    assert send("post", api_key, path=f"datasets/{upload.id}/finalize").body["status"] == "ready"


def test_deleting_what_is_unfinished_leaves_no_parts(api_key: str) -> None:
    upload = row_of(api_key, send("create_dataset", api_key, **LARGE).body["id"])
    put(upload, 12)
    assert len(unfinished()) == 1
    assert send("delete", api_key, path=f"datasets/{upload.id}").status == 204
    assert unfinished() == []


@pytest.mark.parametrize("changes", [LARGE, {"size_bytes": 4}])
def test_a_repeated_declaration_is_the_first_one(api_key: str, changes: dict[str, Any]) -> None:
    first = send("create_dataset", api_key, once=KEY, **changes)
    again = send("create_dataset", api_key, once=KEY, **changes)
    assert (first.status, again.status) == (201, 201)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.body["id"] == first.body["id"]
    assert send("create_dataset", api_key, once=KEY, **changes, name="other").code == "IDEMPOTENCY_CONFLICT"
    assert len(send("get", api_key, path="datasets").body["data"]) == 1
    assert len(unfinished()) == int(changes is LARGE)


def test_a_package_is_declared_once_per_key(api_key: str) -> None:
    first = send("create_training_package", api_key, once=KEY)
    again = send("create_training_package", api_key, once=KEY)
    assert (again.body["id"], again.headers["idempotent-replayed"]) == (first.body["id"], "true")
