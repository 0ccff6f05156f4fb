"""Submitting: one job per idempotency key, and a refusal leaves nothing behind."""

from collections.abc import Callable
from dataclasses import replace
from threading import Barrier, Thread

import pytest

from gpupool.errors import Conflict, CoreError, Unavailable
from gpupool.idempotency.model import LIFETIME, IdempotencyRecord
from gpupool.jobs.model import Job, Sensitivity
from gpupool.jobs.submit import Submissions, Submitted
from gpupool.ledger.model import EntryKind, Transfer
from gpupool.limits.model import Admission, Allowance
from gpupool.transitions.memory import MemoryTransitions
from gpupool.transitions.store import Obstacle, SubmitRefused
from gpupool.uploads.model import UploadKind, UploadStatus
from tests.factories import CUSTOMER_ID, a_request, an_upload
from tests.platform import Machine, Platform

KEY = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def submit(platform: Platform, *, key: str | None = KEY, customer_id: str = CUSTOMER_ID, **changes: object) -> Submitted:
    return platform.customer.jobs.submit(customer_id, a_request(**changes), idempotency_key=key)


def snapshot(platform: Platform) -> tuple[object, ...]:
    world = platform.ports.world
    rows = (world.jobs, world.units, world.uploads, world.balances, world.transfers[CUSTOMER_ID], world.idempotency)
    return tuple(dict(table) for table in (*rows, world.quotas))


def change_upload(**changes: object) -> Callable[[Platform], None]:
    def change(platform: Platform) -> None:
        kind = changes.pop("of")
        upload_id = "dataset-1" if kind is UploadKind.DATASET else "package-1"
        upload = platform.ports.uploads.get(CUSTOMER_ID, kind, upload_id)
        platform.ports.world.uploads[upload.owner_kind, upload.id] = replace(upload, **changes)

    return change


def nothing(platform: Platform) -> None:
    """The platform as it is."""


DATASET, PACKAGE = UploadKind.DATASET, UploadKind.TRAINING_PACKAGE


@pytest.mark.parametrize(
    ("credits", "arrange", "changes", "code", "field"),
    [
        (2, nothing, {}, "CREDIT_INSUFFICIENT", "/max_runtime_seconds"),
        (1_000, nothing, {"dataset_id": "nobody's"}, "DATASET_NOT_FOUND", "/dataset_id"),
        (1_000, nothing, {"training_package_id": "nobody's"}, "TRAINING_PACKAGE_NOT_FOUND", "/training_package_id"),
        (1_000, nothing, {"dataset_id": "package-1"}, "DATASET_NOT_FOUND", "/dataset_id"),
        (1_000, change_upload(of=DATASET, status=UploadStatus.PENDING), {}, "DATASET_NOT_READY", "/dataset_id"),
        (1_000, change_upload(of=DATASET, status=UploadStatus.DELETING), {}, "DATASET_NOT_FOUND", "/dataset_id"),
        (
            1_000,
            change_upload(of=PACKAGE, status=UploadStatus.PENDING),
            {},
            "TRAINING_PACKAGE_NOT_READY",
            "/training_package_id",
        ),
        (1_000, nothing, {"parameters": {"nope": 1}}, "UNKNOWN_PARAMETER", None),
        (1_000, nothing, {"max_runtime_seconds": 1_000_000}, "VALIDATION_FAILED", "/max_runtime_seconds"),
        (1_000, nothing, {"sensitivity": Sensitivity.PRIVATE}, "SENSITIVITY_UNAVAILABLE", "/sensitivity"),
        (1_000, nothing, {"key": "short"}, "IDEMPOTENCY_KEY_INVALID", "Idempotency-Key"),
        (1_000, nothing, {"key": "spaces are not allowed"}, "IDEMPOTENCY_KEY_INVALID", "Idempotency-Key"),
    ],
)
def test_a_refusal_names_the_field_and_leaves_nothing(
    credits: int, arrange: Callable[[Platform], None], changes: dict[str, object], code: str, field: str | None
) -> None:
    platform = Platform(credits=credits)
    arrange(platform)
    before = snapshot(platform)

    with pytest.raises(CoreError) as refused:
        submit(platform, **changes)

    assert refused.value.code == code
    assert "field" in refused.value.details
    if field is not None:
        assert refused.value.details["field"] == field
    assert snapshot(platform) == before
    assert platform.stream.rows == []


def test_another_customers_uploads_do_not_exist() -> None:
    platform = Platform()
    with pytest.raises(CoreError) as refused:
        submit(platform, customer_id="somebody-else")
    assert (refused.value.status, refused.value.code) == (404, "DATASET_NOT_FOUND")


def test_too_little_credit_says_how_much_is_missing() -> None:
    platform = Platform(credits=2)
    with pytest.raises(CoreError) as refused:
        submit(platform)
    assert refused.value.status == 402
    assert refused.value.details["available"] == 2
    assert refused.value.details["required"] > 2


def test_exactly_enough_credit_is_enough() -> None:
    price = submit(Platform()).job.quote.credits
    platform = Platform(credits=price)

    submit(platform)

    assert platform.ports.ledger.balance(CUSTOMER_ID).available == 0


def test_the_same_key_and_request_answer_with_the_first_job() -> None:
    platform = Platform()
    first = submit(platform)

    again = submit(platform)

    assert (first.replayed, again.replayed) == (False, True)
    assert again.job.id == first.job.id
    assert len(platform.posted(EntryKind.HOLD)) == 1


def test_a_replay_shows_the_job_as_it_is_now_and_needs_neither_credit_nor_uploads() -> None:
    platform = Platform()
    first = submit(platform)
    Machine(platform).work_off()
    platform.customer.uploads.delete(CUSTOMER_ID, DATASET, "dataset-1")

    again = submit(platform)

    assert (again.job.id, str(again.job.status)) == (first.job.id, "completed")


@pytest.mark.parametrize("changes", [{"name": "other"}, {"max_runtime_seconds": 601}, {"dataset_id": "dataset-2"}])
def test_the_same_key_for_another_request_is_a_conflict(changes: dict[str, object]) -> None:
    platform = Platform()
    platform.ports.uploads.add(an_upload(id="dataset-2"))
    submit(platform)
    before = snapshot(platform)

    with pytest.raises(Conflict) as refused:
        submit(platform, **changes)

    assert refused.value.code == "IDEMPOTENCY_CONFLICT"
    assert snapshot(platform) == before


def test_a_key_is_the_customers_own_and_lasts_a_day() -> None:
    platform = Platform()
    first = submit(platform).job
    platform.tick(LIFETIME.total_seconds() - 1)
    assert submit(platform).replayed
    platform.tick(1)

    again = submit(platform)

    assert not again.replayed
    assert again.job.id != first.id


def test_without_a_key_every_submit_is_a_new_job() -> None:
    platform = Platform()
    assert submit(platform, key=None).job.id != submit(platform, key=None).job.id


class Crossing(MemoryTransitions):
    """Another submit gets in between the look at the key and the write."""

    other: Callable[[], None] = staticmethod(lambda: None)

    def submit(self, job: Job, *, hold: Transfer, admission: Admission, record: IdempotencyRecord | None) -> None:
        act, self.other = self.other, lambda: None
        act()
        super().submit(job, hold=hold, admission=admission, record=record)


def crossing(platform: Platform) -> tuple[Submissions, Crossing]:
    ports = platform.ports
    transitions = Crossing(ports.world, ports.clock)
    return service_with(platform, transitions), transitions


def service_with(platform: Platform, transitions: MemoryTransitions) -> Submissions:
    ports = platform.ports
    return Submissions(
        jobs=ports.jobs,
        ledger=ports.ledger,
        transitions=transitions,
        allowance=Allowance(live_jobs=3, units_per_day=200),
        clock=ports.clock,
    )


@pytest.mark.parametrize("credits", [1_000, 30])
def test_of_two_submits_that_cross_one_creates_and_both_answer_it(credits: int) -> None:
    platform = Platform(credits=credits)
    first: list[Job] = []
    slow, transitions = crossing(platform)
    transitions.other = lambda: first.append(submit(platform).job)

    answer = slow.submit(CUSTOMER_ID, a_request(), idempotency_key=KEY)

    assert answer.replayed
    assert answer.job.id == first[0].id
    assert len(platform.posted(EntryKind.HOLD)) == 1
    platform.check_books()


def test_a_crossing_submit_of_another_request_is_a_conflict() -> None:
    platform = Platform()
    slow, transitions = crossing(platform)
    transitions.other = lambda: submit(platform, name="other")

    with pytest.raises(Conflict) as refused:
        slow.submit(CUSTOMER_ID, a_request(), idempotency_key=KEY)

    assert refused.value.code == "IDEMPOTENCY_CONFLICT"
    assert len(platform.ports.world.jobs) == 1


def test_an_upload_that_is_deleted_while_the_job_is_submitted_refuses_it() -> None:
    platform = Platform()
    slow, transitions = crossing(platform)
    transitions.other = lambda: platform.customer.uploads.delete(CUSTOMER_ID, DATASET, "dataset-1")

    with pytest.raises(Conflict) as refused:
        slow.submit(CUSTOMER_ID, a_request(), idempotency_key=KEY)

    assert refused.value.code == "DATASET_NOT_READY"
    assert platform.ports.world.jobs == {}
    assert platform.ports.world.idempotency == {}
    platform.check_books()


def test_many_threads_with_one_key_create_one_job() -> None:
    platform = Platform()
    gate = Barrier(8)
    answers: list[Submitted] = []

    def race() -> None:
        gate.wait()
        answers.append(submit(platform))

    threads = [Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({answer.job.id for answer in answers}) == 1
    assert sorted(answer.replayed for answer in answers) == [False] + [True] * 7
    assert len(platform.ports.world.jobs) == 1
    platform.check_books()


class Busy(MemoryTransitions):
    """Refuses so many submits because another one is at the same rows."""

    times = 0

    def submit(self, job: Job, *, hold: Transfer, admission: Admission, record: IdempotencyRecord | None) -> None:
        self.times -= 1
        if self.times >= 0:
            raise SubmitRefused(frozenset({Obstacle.BUSY}))
        super().submit(job, hold=hold, admission=admission, record=record)


@pytest.mark.parametrize(("times", "created"), [(1, True), (7, True), (8, False)])
def test_who_meets_another_writer_tries_again_a_few_times(times: int, created: bool) -> None:
    platform = Platform()
    transitions = Busy(platform.ports.world, platform.clock)
    transitions.times = times
    service = service_with(platform, transitions)

    if created:
        service.submit(CUSTOMER_ID, a_request(), idempotency_key=KEY)
    else:
        with pytest.raises(Unavailable):
            service.submit(CUSTOMER_ID, a_request(), idempotency_key=KEY)

    assert len(platform.ports.world.jobs) == int(created)
    platform.check_books()


def test_an_upload_in_use_cannot_be_deleted_until_its_jobs_have_ended() -> None:
    platform = Platform()
    submit(platform)
    with pytest.raises(Conflict):
        platform.customer.uploads.delete(CUSTOMER_ID, PACKAGE, "package-1")

    Machine(platform).work_off()

    platform.customer.uploads.delete(CUSTOMER_ID, PACKAGE, "package-1")
