"""The bucket's two implementations answer alike."""

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from gpupool import aws
from gpupool.errors import Unavailable
from gpupool.objects.memory import MemoryObjectStore
from gpupool.objects.model import StoredObject
from gpupool.objects.s3 import S3ObjectStore
from gpupool.objects.store import ObjectStore, disposition, to_base64, to_hex

BODY = b"0123456789"
DIGEST = hashlib.sha256(BODY).hexdigest()
KEY = "customers/c/datasets/d"


def s3_client(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The client as production makes it: its configuration decides what a signature covers."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    aws.reset()
    return aws.s3()


@pytest.fixture(autouse=True)
def _no_clients_left() -> Iterator[None]:
    yield
    aws.reset()


@pytest.fixture(params=["memory", "s3"])
def stored(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """A store that holds BODY under KEY."""
    if request.param == "memory":
        memory = MemoryObjectStore()
        memory.put(KEY, BODY, content_type="text/csv")
        yield memory
        return
    with mock_aws():
        client = s3_client(monkeypatch)
        client.create_bucket(Bucket="bucket")
        # ChecksumAlgorithm: moto keeps a checksum only when it is named as well.
        checksum = {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": to_base64(DIGEST)}
        client.put_object(Bucket="bucket", Key=KEY, Body=BODY, ContentType="text/csv", **checksum)
        yield S3ObjectStore(client, "bucket")


def test_head_tells_size_digest_and_type(stored: ObjectStore) -> None:
    head = stored.head(KEY)
    assert head is not None
    assert (head.size_bytes, head.sha256, head.content_type) == (10, DIGEST, "text/csv")


def test_head_of_nothing_is_none(stored: ObjectStore) -> None:
    assert stored.head("customers/c/datasets/other") is None


def test_a_range_is_cut_at_the_end_of_the_object(stored: ObjectStore) -> None:
    assert stored.read_range(KEY, start=2, length=3) == b"234"
    assert stored.read_range(KEY, start=8, length=100) == b"89"


def test_a_range_of_nothing_is_refused(stored: ObjectStore) -> None:
    with pytest.raises(Unavailable):
        stored.read_range("absent", start=0, length=1)


@pytest.fixture
def crowded(stored: ObjectStore) -> ObjectStore:
    """A store that also holds 1,005 objects in a folder, and one beside it."""
    for name in ["logs/ab/0", *(f"logs/a/{seq:06d}.txt" for seq in range(1_005))]:
        if isinstance(stored, MemoryObjectStore):
            stored.put(name, b"x" * 3)
        else:
            aws.s3().put_object(Bucket="bucket", Key=name, Body=b"x" * 3)
    return stored


def test_a_list_goes_on_behind_its_first_page_and_stops_at_its_limit(crowded: ObjectStore) -> None:
    everything = [StoredObject(f"logs/a/{seq:06d}.txt", 3) for seq in range(1_005)]
    assert list(crowded.list("logs/a/", limit=10_000)) == everything
    assert list(crowded.list("logs/a/", limit=1_003)) == everything[:1_003]
    assert list(crowded.list("logs/a/", limit=2)) == everything[:2]


def test_a_list_of_nothing_is_empty(stored: ObjectStore) -> None:
    assert stored.list("logs/absent/", limit=10) == ()


def test_deleting_twice_is_no_error(stored: ObjectStore) -> None:
    stored.delete(KEY)
    stored.delete(KEY)
    assert stored.head(KEY) is None


def test_an_upload_is_bound_to_length_type_and_digest(stored: ObjectStore) -> None:
    signed = stored.presign_put(KEY, size_bytes=10, sha256=DIGEST, content_type="text/csv", expires_seconds=900)
    assert signed.method == "PUT"
    assert signed.headers == {
        "Content-Type": "text/csv",
        "Content-Length": "10",
        "x-amz-checksum-sha256": to_base64(DIGEST),
    }
    assert KEY in signed.url


def test_a_download_names_key_and_lifetime(stored: ObjectStore) -> None:
    url = stored.presign_get(KEY, filename="a\r\nb.csv", expires_seconds=900)
    assert KEY in url
    assert "900" in url
    assert "%0D" not in url


def test_the_signature_covers_what_the_headers_say(monkeypatch: pytest.MonkeyPatch) -> None:
    signed = S3ObjectStore(s3_client(monkeypatch), "bucket").presign_put(
        KEY, size_bytes=10, sha256=DIGEST, content_type="text/csv", expires_seconds=900
    )
    assert "X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost%3Bx-amz-checksum-sha256" in signed.url


def test_the_memory_twin_refuses_other_bytes_than_signed() -> None:
    store = MemoryObjectStore()
    signed = store.presign_put(KEY, size_bytes=10, sha256=DIGEST, content_type="text/csv", expires_seconds=900)
    assert not store.upload(signed, b"9876543210")
    assert store.head(KEY) is None
    assert store.upload(signed, BODY)
    assert store.download(store.presign_get(KEY, filename=None, expires_seconds=900)) == BODY


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("model.tar.gz", "model.tar.gz"),
        ('a"; filename="b.exe', "a__ filename__b.exe"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("数据", "download"),
        ("a\r\nSet-Cookie: x", "a__Set-Cookie_ x"),
    ],
)
def test_a_filename_stays_a_filename(name: str, expected: str) -> None:
    assert disposition(name) == f'attachment; filename="{expected}"'


def test_digest_forms_are_each_others_inverse() -> None:
    assert to_hex(to_base64(DIGEST)) == DIGEST
    assert to_hex("") == ""
    assert to_hex("abc=-3") == ""
