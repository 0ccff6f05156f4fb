"""A large upload arrives in parts, goes on after an interruption, and is declared once however often it is asked for."""

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest

from gpupool.clock import FixedClock
from gpupool.errors import Conflict, CoreError, NotFound
from gpupool.idempotency.memory import MemoryIdempotencyStore
from gpupool.idempotency.service import Once
from gpupool.objects.memory import MemoryObjectStore
from gpupool.uploads.memory import MemoryUploadStore
from gpupool.uploads.model import Declaration, Declared, PartWish, Upload, UploadKind, UploadStatus
from gpupool.uploads.parts import MAX_PARTS, MIN_PART_BYTES, MULTIPART_ABOVE_BYTES, PartTerms, part_size_of
from gpupool.uploads.service import Uploads
from gpupool.world import World

ADA, BOB = "c-ada", "c-bob"
DATASET = UploadKind.DATASET
BODY = b"0123456789abcdefghijklmnopqrst"  # 30 bytes: parts of 8, 8, 8 and 6
SMALL = PartTerms(above_bytes=20, min_part_bytes=8)
KEY = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


class _Bucket(MemoryObjectStore):
    """Counts what was begun and thrown away."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[str] = []
        self.aborted: list[str] = []

    def create_multipart(self, key: str, *, content_type: str) -> str:
        self.begun.append(super().create_multipart(key, content_type=content_type))
        return self.begun[-1]

    def abort_multipart(self, key: str, *, upload_id: str) -> None:
        super().abort_multipart(key, upload_id=upload_id)
        self.aborted.append(upload_id)


class Desk:
    """The service on memory with tiny parts, and the client's side of it."""

    def __init__(self) -> None:
        self.world = World()
        self.objects = _Bucket()
        self.clock = FixedClock()
        self.store = MemoryUploadStore(self.world)
        self.once = Once(store=MemoryIdempotencyStore(self.world, self.clock), clock=self.clock)
        self.uploads = self.over(self.store)

    def over(self, store: MemoryUploadStore) -> Uploads:
        return Uploads(store=store, objects=self.objects, once=self.once, clock=self.clock, terms=SMALL)

    def declare(self, body: bytes = BODY, *, key: str | None = None, name: str = "rows") -> Declared:
        declaration = Declaration(name, len(body), hashlib.sha256(body).hexdigest(), "text/csv")
        return self.uploads.declare(ADA, DATASET, declaration, idempotency_key=key)

    def send(self, upload: Upload, *numbers: int, body: bytes = BODY) -> None:
        pieces = {number: body[8 * (number - 1) : 8 * number] for number in numbers}
        wanted = [PartWish(number, hashlib.sha256(piece).hexdigest()) for number, piece in pieces.items()]
        for part in self.uploads.sign_parts(ADA, DATASET, upload.id, wanted):
            assert self.objects.upload(part.signed, pieces[part.number])

    def finalize(self, upload: Upload) -> Upload:
        return self.uploads.finalize(ADA, DATASET, upload.id)

    def arrived(self, upload: Upload, *, limit: int = 100) -> list[int]:
        key, found = None, []
        while True:
            page = self.uploads.parts(ADA, DATASET, upload.id, limit=limit, key=key)
            found += [part.number for part in page.items]
            key = page.next_key
            if key is None:
                return found


@pytest.fixture
def desk() -> Desk:
    return Desk()


def refused(call: object, *args: object, **more: object) -> CoreError:
    with pytest.raises(CoreError) as caught:
        call(*args, **more)  # type: ignore[operator]
    return caught.value


@pytest.mark.parametrize("size", [1, MULTIPART_ABOVE_BYTES])
def test_what_is_small_enough_goes_in_one_piece(size: int) -> None:
    assert part_size_of(size, PartTerms()) is None


@pytest.mark.parametrize(
    ("size", "part"),
    [
        (MULTIPART_ABOVE_BYTES + 1, MIN_PART_BYTES),
        (5_000_000_000, MIN_PART_BYTES),
        (MIN_PART_BYTES * MAX_PARTS, MIN_PART_BYTES),
        (MIN_PART_BYTES * MAX_PARTS + 1, 9 * 1024 * 1024),
        (5 * 1024**4, 525 * 1024 * 1024),
    ],
)
def test_a_part_is_as_small_as_ten_thousand_of_them_allow(size: int, part: int) -> None:
    assert part_size_of(size, PartTerms()) == part
    assert -(-size // part) <= MAX_PARTS


def test_a_large_declaration_says_how_many_parts_and_how_long_they_are_kept(desk: Desk) -> None:
    declared = desk.declare()
    assert declared.signed is None
    assert declared.expires_at == desk.clock.now() + timedelta(days=7)
    assert declared.upload.parts_total == 4
    assert [declared.upload.part_bytes(number) for number in (1, 2, 3, 4)] == [8, 8, 8, 6]


def test_what_fills_its_last_part_has_no_empty_one_after_it(desk: Desk) -> None:
    upload = desk.declare(BODY[:24]).upload
    assert (upload.parts_total, upload.part_bytes(3)) == (3, 8)


def test_parts_become_a_ready_upload(desk: Desk) -> None:
    upload = desk.declare().upload
    desk.send(upload, 4, 1, 3, 2)
    ready = desk.finalize(upload)
    assert (ready.status, ready.finalized_at) == (UploadStatus.READY, desk.clock.now())
    assert not ready.proven
    assert desk.objects.download(desk.objects.presign_get(upload.key, filename=None, expires_seconds=9)) == BODY
    assert desk.finalize(upload) == ready


def test_a_signed_part_takes_exactly_its_bytes_for_fifteen_minutes(desk: Desk) -> None:
    upload = desk.declare().upload
    (part,) = desk.uploads.sign_parts(ADA, DATASET, upload.id, [PartWish(4, hashlib.sha256(BODY[24:]).hexdigest())])
    assert part.signed.headers["Content-Length"] == "6"
    assert part.expires_at == desk.clock.now() + timedelta(minutes=15)
    assert not desk.objects.upload(part.signed, b"opqrsT")
    assert desk.arrived(upload) == []


def test_an_interrupted_upload_goes_on_with_what_has_not_arrived(desk: Desk) -> None:
    upload = desk.declare().upload
    desk.send(upload, 1, 3)
    assert desk.arrived(upload) == [1, 3]
    error = refused(desk.finalize, upload)
    assert (error.status, error.code) == (409, "UPLOAD_MISSING")
    assert error.details["missing_parts"] == [2, 4]
    assert desk.uploads.get(ADA, DATASET, upload.id).status is UploadStatus.PENDING
    desk.send(upload, 2, 4)
    assert desk.finalize(upload).status is UploadStatus.READY


def test_at_most_a_hundred_missing_parts_are_named(desk: Desk) -> None:
    upload = desk.declare(b"x" * 8 * 150).upload
    error = refused(desk.finalize, upload)
    assert error.details["missing_parts"] == list(range(1, 101))
    assert error.details["missing_parts_total"] == 150


def test_more_parts_than_one_listing_holds_are_put_together(desk: Desk) -> None:
    body = b"12345678" * 2_001
    upload = desk.declare(body).upload
    desk.send(upload, *range(1, 2_002), body=body)
    assert desk.finalize(upload).size_bytes == len(body)


def test_what_has_arrived_is_listed_in_pages(desk: Desk) -> None:
    upload = desk.declare().upload
    desk.send(upload, 1, 2, 4)
    assert desk.arrived(upload, limit=2) == [1, 2, 4]
    assert desk.arrived(upload, limit=3) == [1, 2, 4]


def test_a_part_of_another_length_counts_as_missing(desk: Desk) -> None:
    upload = desk.declare().upload
    desk.send(upload, 1, 2, 3, 4)
    assert upload.multipart is not None
    stray = {"number": 2, "size_bytes": 3, "sha256": hashlib.sha256(b"abc").hexdigest(), "expires_seconds": 9}
    assert desk.objects.upload(desk.objects.presign_part(upload.key, upload_id=upload.multipart.id, **stray), b"abc")
    assert refused(desk.finalize, upload).details["missing_parts"] == [2]


@pytest.mark.parametrize(("numbers", "field"), [([5], "/parts/0/part_number"), ([1, 2, 1], "/parts/2/part_number")])
def test_a_part_that_the_upload_does_not_have_is_refused(desk: Desk, numbers: list[int], field: str) -> None:
    upload = desk.declare().upload
    error = refused(desk.uploads.sign_parts, ADA, DATASET, upload.id, [PartWish(number, "0" * 64) for number in numbers])
    assert (error.status, error.code, error.details["field"]) == (400, "VALIDATION_FAILED", field)


def test_an_upload_in_one_piece_has_no_parts(desk: Desk) -> None:
    upload = desk.declare(b"small").upload
    assert refused(desk.uploads.sign_parts, ADA, DATASET, upload.id, []).code == "UPLOAD_NOT_MULTIPART"
    assert refused(desk.uploads.parts, ADA, DATASET, upload.id, limit=9, key=None).code == "UPLOAD_NOT_MULTIPART"
    assert desk.objects.begun == []


def test_a_ready_upload_takes_no_more_parts(desk: Desk) -> None:
    upload = desk.declare().upload
    desk.send(upload, 1, 2, 3, 4)
    desk.finalize(upload)
    assert refused(desk.uploads.sign_parts, ADA, DATASET, upload.id, []).code == "UPLOAD_NOT_PENDING"
    assert refused(desk.uploads.parts, ADA, DATASET, upload.id, limit=9, key=None).code == "UPLOAD_NOT_PENDING"


class _BrokenOff(MemoryUploadStore):
    """Dies between putting the parts together and writing it down."""

    def mark_ready(self, upload: Upload, **terms: object) -> Upload:
        raise TimeoutError


def test_a_finalize_that_broke_off_is_finished_by_the_next(desk: Desk) -> None:
    upload = desk.declare().upload
    desk.send(upload, 1, 2, 3, 4)
    with pytest.raises(TimeoutError):
        desk.over(_BrokenOff(desk.world)).finalize(ADA, DATASET, upload.id)
    assert refused(desk.uploads.parts, ADA, DATASET, upload.id, limit=9, key=None).code == "UPLOAD_NOT_PENDING"
    assert desk.finalize(upload).status is UploadStatus.READY


def test_parts_that_the_bucket_threw_away_make_it_expire(desk: Desk) -> None:
    upload = desk.declare().upload
    desk.send(upload, 1)
    assert upload.multipart is not None
    desk.objects.abort_multipart(upload.key, upload_id=upload.multipart.id)
    assert refused(desk.finalize, upload).code == "UPLOAD_EXPIRED"
    assert refused(desk.uploads.parts, ADA, DATASET, upload.id, limit=9, key=None).code == "UPLOAD_EXPIRED"


def test_no_parts_are_signed_for_what_has_expired(desk: Desk) -> None:
    upload = desk.declare().upload
    desk.clock.advance(7 * 86_400)
    assert refused(desk.uploads.sign_parts, ADA, DATASET, upload.id, [PartWish(1, "0" * 64)]).code == "UPLOAD_EXPIRED"


def test_deleting_throws_the_parts_away(desk: Desk) -> None:
    upload = desk.declare().upload
    desk.send(upload, 1)
    desk.uploads.delete(ADA, DATASET, upload.id)
    assert desk.objects.aborted == desk.objects.begun
    assert desk.store.get(ADA, DATASET, upload.id) is None


def test_a_deletion_that_broke_off_throws_the_parts_away_when_it_is_finished(desk: Desk) -> None:
    upload = desk.declare().upload
    desk.store.mark_deleting(upload)
    desk.uploads.delete(ADA, DATASET, upload.id)
    assert desk.objects.aborted == desk.objects.begun


def test_a_stranger_neither_signs_nor_lists_parts(desk: Desk) -> None:
    upload = desk.declare().upload
    for error in (
        refused(desk.uploads.sign_parts, BOB, DATASET, upload.id, [PartWish(1, "0" * 64)]),
        refused(desk.uploads.parts, BOB, DATASET, upload.id, limit=9, key=None),
    ):
        assert isinstance(error, NotFound)
        assert error.code == "DATASET_NOT_FOUND"


def test_the_same_key_and_declaration_are_one_upload_with_a_fresh_url(desk: Desk) -> None:
    first = desk.declare(b"small", key=KEY)
    desk.clock.advance(600)
    again = desk.declare(b"small", key=KEY)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.upload == first.upload
    assert again.expires_at == first.expires_at + timedelta(seconds=600)
    assert again.signed is not None
    assert desk.objects.upload(again.signed, b"small")
    assert len(desk.world.uploads) == 1


def test_a_repeated_large_declaration_goes_on_with_the_same_parts(desk: Desk) -> None:
    first = desk.declare(key=KEY)
    desk.send(first.upload, 1)
    again = desk.declare(key=KEY)
    assert (again.upload, again.replayed, again.expires_at) == (first.upload, True, first.expires_at)
    assert len(desk.objects.begun) == 1
    assert desk.arrived(again.upload) == [1]


def test_a_key_used_for_another_declaration_is_refused(desk: Desk) -> None:
    desk.declare(key=KEY)
    error = refused(desk.declare, key=KEY, name="other rows")
    assert isinstance(error, Conflict)
    assert error.code == "IDEMPOTENCY_CONFLICT"
    assert len(desk.world.uploads) == 1


def test_a_key_is_one_customers_and_one_kinds(desk: Desk) -> None:
    declaration = Declaration("rows", 5, "0" * 64, "text/csv")
    made = {
        desk.uploads.declare(customer, kind, declaration, idempotency_key=KEY).upload.id
        for customer in (ADA, BOB)
        for kind in UploadKind
    }
    assert len(made) == 4


def test_declarations_without_a_key_are_separate(desk: Desk) -> None:
    assert desk.declare().upload.id != desk.declare().upload.id


def test_a_declaration_that_broke_off_before_its_row_heals_under_the_same_id(desk: Desk) -> None:
    class _NoRow(MemoryUploadStore):
        def add(self, upload: Upload) -> None:
            raise TimeoutError

    declaration = Declaration("rows", len(BODY), hashlib.sha256(BODY).hexdigest(), "text/csv")
    with pytest.raises(TimeoutError):
        desk.over(_NoRow(desk.world)).declare(ADA, DATASET, declaration, idempotency_key=KEY)
    (record,) = desk.world.idempotency.values()
    healed = desk.declare(key=KEY)
    assert (healed.upload.id, healed.replayed) == (record.resource_id, False)
    desk.send(healed.upload, 1, 2, 3, 4)
    assert desk.finalize(healed.upload).status is UploadStatus.READY


def test_two_declarations_at_the_same_moment_are_one_upload(desk: Desk) -> None:
    class _Later(MemoryUploadStore):
        """The other call's row is written right before ours."""

        def add(self, upload: Upload) -> None:
            desk.declare(key=KEY)
            super().add(upload)

    declaration = Declaration("rows", len(BODY), hashlib.sha256(BODY).hexdigest(), "text/csv")
    late = desk.over(_Later(desk.world)).declare(ADA, DATASET, declaration, idempotency_key=KEY)
    assert late.replayed
    assert list(desk.world.uploads.values()) == [late.upload]
    assert late.upload.multipart is not None
    assert set(desk.objects.begun) - set(desk.objects.aborted) == {late.upload.multipart.id}


def test_a_key_whose_upload_is_being_deleted_is_spent(desk: Desk) -> None:
    upload = desk.declare(key=KEY).upload
    desk.world.uploads[upload.owner_kind, upload.id] = replace(upload, status=UploadStatus.DELETING)
    assert refused(desk.declare, key=KEY).code == "IDEMPOTENCY_CONFLICT"
