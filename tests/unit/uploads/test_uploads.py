"""An upload is declared, arrives, is checked once, and stays until no job needs it."""

import hashlib
from dataclasses import replace

import pytest

from gpupool.clock import FixedClock
from gpupool.errors import Conflict, CoreError, NotFound, StaleWrite, ValidationFailed
from gpupool.idempotency.memory import MemoryIdempotencyStore
from gpupool.idempotency.service import Once
from gpupool.objects.memory import MemoryObjectStore
from gpupool.uploads.memory import MemoryUploadStore
from gpupool.uploads.model import Declaration, Declared, Upload, UploadKind, UploadStatus
from gpupool.uploads.service import Uploads
from gpupool.world import World
from tests.support.packages import TRAIN, a_package

ADA, BOB = "c-ada", "c-bob"
DATASET, PACKAGE = UploadKind.DATASET, UploadKind.TRAINING_PACKAGE
ROWS = b"1,2\n3,4\n"


class Desk:
    """The service on memory, and the client's side of it."""

    def __init__(self) -> None:
        self.world = World()
        self.objects = MemoryObjectStore()
        self.clock = FixedClock()
        self.store = MemoryUploadStore(self.world)
        self.once = Once(store=MemoryIdempotencyStore(self.world, self.clock), clock=self.clock)
        self.uploads = self.over(self.store)

    def over(self, store: MemoryUploadStore) -> Uploads:
        return Uploads(store=store, objects=self.objects, once=self.once, clock=self.clock)

    def declare(self, body: bytes, kind: UploadKind = DATASET) -> Declared:
        digest = hashlib.sha256(body).hexdigest()
        return self.uploads.declare(ADA, kind, Declaration("rows", len(body), digest, "text/csv"))

    def send(self, body: bytes, kind: UploadKind = DATASET) -> Upload:
        declared = self.declare(body, kind)
        assert self.objects.upload(declared.signed, body)
        return declared.upload

    def ready(self, body: bytes = ROWS, kind: UploadKind = DATASET) -> Upload:
        return self.uploads.finalize(ADA, kind, self.send(body, kind).id)

    def used_by(self, upload: Upload, *jobs: str) -> None:
        self.world.uploads[upload.owner_kind, upload.id] = replace(upload, live_jobs=frozenset(jobs))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def refused(call: object, *args: object) -> CoreError:
    with pytest.raises(CoreError) as caught:
        call(*args)  # type: ignore[operator]
    return caught.value


def test_a_declared_upload_waits_for_exactly_its_bytes(desk: Desk) -> None:
    declared = desk.declare(ROWS)
    assert declared.upload.status is UploadStatus.PENDING
    assert declared.signed.headers["Content-Length"] == "8"
    assert (declared.expires_at - desk.clock.now()).total_seconds() == 900
    assert not desk.objects.upload(declared.signed, b"other rows")


def test_what_arrived_as_declared_becomes_ready(desk: Desk) -> None:
    upload = desk.ready()
    assert upload.status is UploadStatus.READY
    assert upload.finalized_at == desk.clock.now()
    assert desk.uploads.get(ADA, DATASET, upload.id) == upload


def test_finalizing_again_answers_the_same(desk: Desk) -> None:
    upload = desk.ready()
    desk.clock.advance(60)
    assert desk.uploads.finalize(ADA, DATASET, upload.id) == upload


def test_finalizing_before_the_bytes_are_there_changes_nothing(desk: Desk) -> None:
    upload = desk.declare(ROWS).upload
    error = refused(desk.uploads.finalize, ADA, DATASET, upload.id)
    assert (error.status, error.code) == (409, "UPLOAD_MISSING")
    assert desk.uploads.get(ADA, DATASET, upload.id) == upload


@pytest.mark.parametrize(("body", "field"), [(b"1,2", "/size_bytes"), (b"1,2\n3,5\n", "/sha256")])
def test_other_bytes_than_declared_are_a_mismatch(desk: Desk, body: bytes, field: str) -> None:
    upload = desk.declare(ROWS).upload
    desk.objects.put(upload.key, body)
    error = refused(desk.uploads.finalize, ADA, DATASET, upload.id)
    assert (error.status, error.code, error.details["field"]) == (409, "UPLOAD_MISMATCH", field)
    assert desk.uploads.get(ADA, DATASET, upload.id).status is UploadStatus.PENDING


def test_a_package_keeps_what_its_manifest_says(desk: Desk) -> None:
    manifest = b'[package]\nentry = "go.py"\n[parameters]\nrate = 1.0\n'
    package = desk.ready(a_package(("gpu-agent.toml", manifest), ("go.py", TRAIN)), PACKAGE)
    assert package.manifest is not None
    assert (package.manifest["entry"], package.manifest["parameters"]) == ("go.py", {"rate": 1.0})


def test_a_dataset_may_be_anything_and_is_not_opened(desk: Desk) -> None:
    assert desk.ready(b"not a zip").manifest is None
    assert desk.objects.bytes_read == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"not a zip", "PACKAGE_INVALID"),
        (a_package(("../x.py", b"")), "PACKAGE_UNSAFE"),
        (a_package(("a.txt", b"")), "PACKAGE_NO_ENTRY"),
    ],
)
def test_a_refused_package_stays_pending(desk: Desk, body: bytes, code: str) -> None:
    upload = desk.send(body, PACKAGE)
    error = refused(desk.uploads.finalize, ADA, PACKAGE, upload.id)
    assert isinstance(error, ValidationFailed)
    assert error.code == code
    assert desk.uploads.get(ADA, PACKAGE, upload.id) == upload


def test_nobody_sees_or_touches_a_strangers_upload(desk: Desk) -> None:
    upload = desk.send(ROWS)
    for call in (desk.uploads.get, desk.uploads.finalize, desk.uploads.delete):
        error = refused(call, BOB, DATASET, upload.id)
        assert isinstance(error, NotFound)
        assert error.code == "DATASET_NOT_FOUND"
    assert desk.uploads.page(BOB, DATASET, limit=10, key=None).items == ()
    assert desk.uploads.get(ADA, DATASET, upload.id) == upload


@pytest.mark.parametrize("upload_id", ["absent", "", "x" * 5000])
def test_what_is_not_there_is_not_found(desk: Desk, upload_id: str) -> None:
    assert refused(desk.uploads.get, ADA, PACKAGE, upload_id).code == "TRAINING_PACKAGE_NOT_FOUND"


def test_deleting_removes_bytes_and_row(desk: Desk) -> None:
    upload = desk.ready()
    desk.uploads.delete(ADA, DATASET, upload.id)
    assert desk.objects.head(upload.key) is None
    assert refused(desk.uploads.get, ADA, DATASET, upload.id).code == "DATASET_NOT_FOUND"
    assert refused(desk.uploads.delete, ADA, DATASET, upload.id).code == "DATASET_NOT_FOUND"


@pytest.mark.parametrize(("kind", "code"), [(DATASET, "DATASET_IN_USE"), (PACKAGE, "TRAINING_PACKAGE_IN_USE")])
def test_what_a_live_job_needs_stays(desk: Desk, kind: UploadKind, code: str) -> None:
    upload = desk.ready(a_package(), kind)
    desk.used_by(upload, "j-1")
    error = refused(desk.uploads.delete, ADA, kind, upload.id)
    assert isinstance(error, Conflict)
    assert error.code == code
    assert desk.objects.head(upload.key) is not None
    assert desk.uploads.get(ADA, kind, upload.id).status is UploadStatus.READY


def test_a_deletion_that_broke_off_is_hidden_and_can_be_finished(desk: Desk) -> None:
    upload = desk.ready()
    desk.store.mark_deleting(upload)
    assert refused(desk.uploads.get, ADA, DATASET, upload.id).code == "DATASET_NOT_FOUND"
    assert refused(desk.uploads.finalize, ADA, DATASET, upload.id).code == "DATASET_NOT_FOUND"
    desk.uploads.delete(ADA, DATASET, upload.id)
    assert desk.objects.head(upload.key) is None


class _RacingStore(MemoryUploadStore):
    """Somebody else's call gets in right before ours."""

    def __init__(self, world: World, outcome: UploadStatus | None) -> None:
        super().__init__(world)
        self._outcome = outcome

    def mark_ready(self, upload: Upload, **terms: object) -> Upload:
        if self._outcome is None:
            self._world.uploads.clear()
        else:
            self._world.uploads[upload.owner_kind, upload.id] = replace(upload, status=self._outcome)
        raise StaleWrite


def test_two_finalize_calls_at_once_both_succeed(desk: Desk) -> None:
    upload = desk.send(ROWS)
    racing = desk.over(_RacingStore(desk.world, UploadStatus.READY))
    assert racing.finalize(ADA, DATASET, upload.id).status is UploadStatus.READY


@pytest.mark.parametrize("outcome", [None, UploadStatus.DELETING])
def test_finalizing_what_is_deleted_meanwhile_finds_nothing(desk: Desk, outcome: UploadStatus | None) -> None:
    upload = desk.send(ROWS)
    racing = desk.over(_RacingStore(desk.world, outcome))
    assert refused(racing.finalize, ADA, DATASET, upload.id).code == "DATASET_NOT_FOUND"
