"""Uploads in memory and in DynamoDB answer alike."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gpupool.errors import AlreadyExists, StaleWrite
from gpupool.uploads.dynamo import upload_item
from gpupool.uploads.model import Multipart, Upload, UploadKind, UploadStatus
from gpupool.uploads.store import UploadStore
from tests.contract.both import DynamoStores, MemoryStores, Stores

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DATASET = UploadKind.DATASET
PACKAGE = UploadKind.TRAINING_PACKAGE
Put = Callable[[Upload], None]


@pytest.fixture
def tables() -> tuple[str, ...]:
    return ("uploads",)


@pytest.fixture
def store(stores: Stores) -> UploadStore:
    return stores.uploads


@pytest.fixture
def put(stores: Stores) -> Put:
    """Writes a row as a transition of another room would."""

    def into(upload: Upload) -> None:
        if isinstance(stores, MemoryStores):
            stores.world.uploads[upload.owner_kind, upload.id] = upload
        elif isinstance(stores, DynamoStores):
            stores.client.put_item(TableName=f"{stores.prefix}uploads", Item=upload_item(upload))

    return into


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
