"""Signed URLs against a bucket that enforces them: what was declared arrives, and nothing else."""

import hashlib
import http.client
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from gpupool.objects.model import SignedPut
from gpupool.objects.s3 import S3ObjectStore
from local.testing import private_emulator

pytestmark = pytest.mark.stack

BODY = b"1,2\n3,4\n"
DIGEST = hashlib.sha256(BODY).hexdigest()
KEY = "customers/c/datasets/d"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3ObjectStore]:
    with private_emulator(tmp_path_factory.mktemp("emulator")) as emulator:
        client = emulator.root.client("s3")
        client.create_bucket(Bucket="bucket")
        yield S3ObjectStore(client, "bucket")


def request(method: str, url: str, *, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def put(signed: SignedPut, body: bytes) -> int:
    return request(signed.method, signed.url, body=body, headers=signed.headers)[0]


def signed(store: S3ObjectStore, key: str = KEY, *, expires_seconds: int = 900) -> SignedPut:
    return store.presign_put(key, size_bytes=len(BODY), sha256=DIGEST, content_type="text/csv", expires_seconds=expires_seconds)


def test_the_declared_bytes_arrive_and_their_digest_is_known(store: S3ObjectStore) -> None:
    assert put(signed(store), BODY) == 200
    head = store.head(KEY)
    assert head is not None
    assert (head.size_bytes, head.sha256, head.content_type) == (len(BODY), DIGEST, "text/csv")
    assert store.read_range(KEY, start=4, length=100) == b"3,4\n"
    status, body = request("GET", store.presign_get(KEY, filename="rows.csv", expires_seconds=900))
    assert (status, body) == (200, BODY)


@pytest.mark.parametrize("body", [b"9,9\n3,4\n", b"1,2\n", BODY * 2])
def test_other_bytes_are_refused(store: S3ObjectStore, body: bytes) -> None:
    upload = signed(store, "customers/c/datasets/other")
    honest = replace(upload, headers=upload.headers | {"Content-Length": str(len(body))})
    assert put(honest, body) >= 400
    assert store.head("customers/c/datasets/other") is None


@pytest.mark.parametrize(
    "change",
    [{"Content-Type": "text/html"}, {"x-amz-checksum-sha256": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}],
)
def test_other_headers_are_refused(store: S3ObjectStore, change: dict[str, str]) -> None:
    upload = signed(store, "customers/c/datasets/third")
    assert put(replace(upload, headers=upload.headers | change), BODY) >= 400
    assert store.head("customers/c/datasets/third") is None


def test_a_url_opens_one_key_only(store: S3ObjectStore) -> None:
    upload = signed(store)
    assert put(replace(upload, url=upload.url.replace("datasets/d", "datasets/stolen")), BODY) == 403
    download = store.presign_get(KEY, filename=None, expires_seconds=900)
    assert request("GET", download.replace("datasets/d", "datasets/stolen"))[0] == 403


def test_a_url_cannot_be_made_to_live_longer(store: S3ObjectStore) -> None:
    assert put(signed(store), BODY) == 200
    download = store.presign_get(KEY, filename=None, expires_seconds=900)
    assert request("GET", download.replace("X-Amz-Expires=900", "X-Amz-Expires=901"))[0] == 403


def test_a_url_ends_when_it_was_said_to(store: S3ObjectStore) -> None:
    assert put(signed(store), BODY) == 200
    download = store.presign_get(KEY, filename=None, expires_seconds=1)
    deadline = time.monotonic() + 10
    while request("GET", download)[0] == 200:
        assert time.monotonic() < deadline
        threading.Event().wait(0.2)
    assert request("GET", download)[0] == 403
