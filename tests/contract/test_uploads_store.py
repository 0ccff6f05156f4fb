"""Uploads in memory and in DynamoDB answer alike."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import boto3
import pytest
from moto import mock_aws

from gpupool.errors import AlreadyExists, StaleWrite
from gpupool.uploads.dynamo import DynamoUploadStore, upload_item
from gpupool.uploads.memory import MemoryUploadStore
from gpupool.uploads.model import Multipart, Upload, UploadKind, UploadStatus
from gpupool.uploads.store import UploadStore
from gpupool.world import World
from tests.support.tables import create_tables

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DATASET = UploadKind.DATASET
PACKAGE = UploadKind.TRAINING_PACKAGE
Put = Callable[[Upload], None]


@pytest.fixture(params=["memory", "dynamo"])
def both(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[UploadStore, Put]]:
    """A store, and a way to write a row as a transition of another room would."""
    if request.param == "memory":
        world = World()

        def into_world(upload: Upload) -> None:
            world.uploads[upload.owner_kind, upload.id] = upload

        yield MemoryUploadStore(world), into_world
        return
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        create_tables(client, "uploads")

        def into_table(upload: Upload) -> None:
            client.put_item(TableName="uploads", Item=upload_item(upload))

        yield DynamoUploadStore(client, "uploads"), into_table


@pytest.fixture
def store(both: tuple[UploadStore, Put]) -> UploadStore:
    return both[0]


@pytest.fixture
def put(both: tuple[UploadStore, Put]) -> Put:
    return both[1]


def an_upload(upload_id: str = "u-1", *, customer_id: str = "c-ada", kind: UploadKind = DATASET) -> Upload:
    return Upload(upload_id, customer_id, kind, "digits", "application/zip", 10, "ab" * 32, UploadStatus.PENDING, NOW)


def test_an_upload_comes_back_as_it_was_written(store: UploadStore) -> None:
    store.add(an_upload())
    assert store.get("c-ada", DATASET, "u-1") == an_upload()


def test_an_upload_in_parts_keeps_how_it_arrives(store: UploadStore) -> None:
    large = replace(an_upload(), multipart=Multipart("bucket-1", 8))
    store.add(large)
    assert store.get("c-ada", DATASET, "u-1") == large
    assert store.mark_ready(large, at=NOW, manifest=None).multipart == Multipart("bucket-1", 8)


def test_it_is_found_only_by_its_owner_and_kind(store: UploadStore) -> None:
    store.add(an_upload())
    assert store.get("c-bob", DATASET, "u-1") is None
    assert store.get("c-ada", PACKAGE, "u-1") is None
    assert store.get("c-ada", DATASET, "u-2") is None


def test_an_id_is_taken_once(store: UploadStore) -> None:
    store.add(an_upload())
    with pytest.raises(AlreadyExists):
        store.add(replace(an_upload(), name="other"))


def test_pages_run_from_new_to_old_within_one_owner_and_kind(store: UploadStore) -> None:
    for number in range(5):
        store.add(an_upload(f"u-{number}"))
    store.add(an_upload("u-8", kind=PACKAGE))
    store.add(an_upload("u-9", customer_id="c-bob"))
    seen: list[str] = []
    key = None
    for _ in range(3):
        page = store.page("c-ada", DATASET, limit=2, key=key)
        seen += [upload.id for upload in page.items]
        key = page.next_key
    assert seen == ["u-4", "u-3", "u-2", "u-1", "u-0"]
    assert key is None


def test_the_last_full_page_says_that_it_is_the_last(store: UploadStore) -> None:
    store.add(an_upload("u-1"))
    store.add(an_upload("u-2"))
    assert store.page("c-ada", DATASET, limit=2, key=None).next_key is None


def test_it_becomes_ready_once_and_keeps_its_manifest(store: UploadStore) -> None:
    package = an_upload(kind=PACKAGE)
    store.add(package)
    manifest = {"strategy": "single", "entry": "train.py", "parameters": {"rate": 0.1, "epochs": 3}, "units": []}
    ready = store.mark_ready(package, at=NOW, manifest=manifest)
    assert ready == replace(package, status=UploadStatus.READY, finalized_at=NOW, manifest=manifest)
    assert store.get("c-ada", PACKAGE, "u-1") == ready
    with pytest.raises(StaleWrite):
        store.mark_ready(package, at=NOW, manifest=None)


def test_what_is_absent_does_not_become_ready(store: UploadStore) -> None:
    with pytest.raises(StaleWrite):
        store.mark_ready(an_upload(), at=NOW, manifest=None)
    assert store.get("c-ada", DATASET, "u-1") is None


def test_a_dataset_has_no_manifest(store: UploadStore) -> None:
    store.add(an_upload())
    assert store.mark_ready(an_upload(), at=NOW, manifest=None).manifest is None


def test_it_is_deleted_in_two_steps(store: UploadStore) -> None:
    store.add(an_upload())
    store.mark_deleting(an_upload())
    deleting = store.get("c-ada", DATASET, "u-1")
    assert deleting is not None
    assert deleting.status is UploadStatus.DELETING
    store.remove(deleting)
    store.remove(deleting)
    assert store.get("c-ada", DATASET, "u-1") is None


def test_what_a_live_job_uses_cannot_be_deleted(store: UploadStore, put: Put) -> None:
    used = replace(an_upload(), status=UploadStatus.READY, live_jobs=frozenset({"j-1", "j-2"}))
    put(used)
    assert store.get("c-ada", DATASET, "u-1") == used
    with pytest.raises(StaleWrite):
        store.mark_deleting(used)
    assert store.get("c-ada", DATASET, "u-1") == used


def test_what_is_gone_cannot_be_marked_for_deletion(store: UploadStore) -> None:
    with pytest.raises(StaleWrite):
        store.mark_deleting(an_upload())
    assert store.get("c-ada", DATASET, "u-1") is None
