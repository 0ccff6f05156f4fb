"""The atomic changes over several tables, in memory and in DynamoDB: whole or not at all, and once."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from gpupool.dynamo import error_code
from gpupool.errors import StaleWrite
from gpupool.idempotency.model import IdempotencyRecord
from gpupool.jobs.dynamo import job_from
from gpupool.jobs.model import Job, JobStatus, Quote
from gpupool.ledger.model import Balance, EntryKind, debit, hold, release
from gpupool.transitions.dynamo import DynamoTransitions, Tables
from gpupool.transitions.store import Ending, Obstacle, Seen, SubmitRefused, Wanted
from gpupool.units.model import Failure, Unit, UnitStatus
from gpupool.uploads.model import UploadKind, UploadStatus
from gpupool.wire.failures import Blame, FailureCode
from tests.contract.both import DynamoStores, Stores, a_submitted_job
from tests.factories import CUSTOMER_ID, NOW, a_grant, a_unit, an_admission, an_upload

LATER = NOW + timedelta(seconds=60)
RECORD = IdempotencyRecord("customer#route#key", "f" * 64, "job-1", NOW)


def prepare(stores: Stores, *, credits: int = 100, dataset: UploadStatus | None = UploadStatus.READY, **of: Any) -> None:
    package: UploadStatus | None = of.get("package", UploadStatus.READY)
    if credits:
        stores.ledger.post(a_grant(amount=credits))
    for kind, upload_id, status in (
        (UploadKind.DATASET, "dataset-1", dataset),
        (UploadKind.TRAINING_PACKAGE, "package-1", package),
    ):
        if status is not None:
            stores.uploads.add(an_upload(id=upload_id, kind=kind, status=status))


def submit(stores: Stores, *, record: IdempotencyRecord | None = None, **changes: Any) -> Job:
    job = a_submitted_job(**changes)
    price = hold(customer_id=CUSTOMER_ID, job_id=job.id, amount=job.quote.credits, at=NOW)
    stores.transitions.submit(job, hold=price, admission=an_admission(stores.limits, job), record=record)
    return job


def live_jobs(stores: Stores) -> list[set[str]]:
    found = [
        stores.uploads.get(CUSTOMER_ID, kind, upload_id)
        for kind, upload_id in ((UploadKind.DATASET, "dataset-1"), (UploadKind.TRAINING_PACKAGE, "package-1"))
    ]
    return [set(upload.live_jobs) for upload in found if upload is not None]


def kinds(stores: Stores) -> list[EntryKind]:
    return [entry.kind for entry in stores.ledger.page(CUSTOMER_ID, limit=100, key=None).items]


def test_a_submit_writes_job_hold_key_and_use_at_once(stores: Stores) -> None:
    prepare(stores)

    job = submit(stores, record=RECORD)

    assert stores.jobs.get(job.id) == job
    assert stores.ledger.balance(CUSTOMER_ID) == Balance(CUSTOMER_ID, available=70, held=30, granted=100)
    assert stores.idempotency.get(RECORD.id) == RECORD
    assert live_jobs(stores) == [{job.id}, {job.id}]


def seen(stores: Stores, *, record_id: str | None = RECORD.id) -> Seen:
    return stores.transitions.look(Wanted(CUSTOMER_ID, "dataset-1", "package-1", NOW, record_id))


def test_what_a_submit_decides_on_is_seen_at_once(stores: Stores) -> None:
    prepare(stores)
    before = seen(stores)
    job = submit(stores, record=RECORD)

    after, without_key = seen(stores), seen(stores, record_id=None)

    uploads = [
        stores.uploads.get(CUSTOMER_ID, kind, upload_id)
        for kind, upload_id in ((UploadKind.DATASET, "dataset-1"), (UploadKind.TRAINING_PACKAGE, "package-1"))
    ]
    assert [after.dataset, after.package] == uploads
    assert None not in uploads
    assert (before.record, after.record, without_key.record) == (None, RECORD, None)
    assert (set(before.quota.live_jobs), set(after.quota.live_jobs)) == (set(), {job.id})


def test_what_is_not_there_is_not_seen(stores: Stores) -> None:
    nothing = seen(stores)
    assert (nothing.dataset, nothing.package, nothing.record) == (None, None, None)
    assert not nothing.quota.live_jobs


def test_a_table_that_is_not_there_is_no_reason_to_try_again(stores: Stores) -> None:
    if not isinstance(stores, DynamoStores):
        return
    nowhere = DynamoTransitions(stores.client, Tables(**dict.fromkeys(Tables.__annotations__, "nowhere")))
    price = debit(customer_id=CUSTOMER_ID, job_id="job", unit_id="job.00000", amount=4, at=LATER)
    with pytest.raises(ClientError) as refused:
        nowhere.settle(ended(a_unit(0)), price)
    assert error_code(refused.value) == "ResourceNotFoundException"


def test_a_transfer_that_no_table_can_hold_is_no_reason_to_try_again(stores: Stores) -> None:
    """DynamoDB takes 400 KB an item; whoever tried it again would try for ever."""
    if not isinstance(stores, DynamoStores):
        return
    job = stores.submitted()
    price = debit(customer_id=CUSTOMER_ID, job_id=job.id, unit_id=a_unit(0).id, amount=4, at=LATER, note="n" * 500_000)
    with pytest.raises(ClientError):
        stores.transitions.settle(ended(a_unit(0)), price)
    assert stores.ledger.balance(CUSTOMER_ID).spent == 0


Arrange = Callable[[Stores], None]


@pytest.mark.parametrize(
    ("arrange", "obstacles"),
    [
        (lambda stores: prepare(stores, credits=29), {Obstacle.CREDIT_INSUFFICIENT}),
        (lambda stores: prepare(stores, credits=0), {Obstacle.CREDIT_INSUFFICIENT}),
        (lambda stores: prepare(stores, dataset=UploadStatus.PENDING), {Obstacle.DATASET_NOT_READY}),
        (lambda stores: prepare(stores, dataset=UploadStatus.DELETING), {Obstacle.DATASET_NOT_READY}),
        (lambda stores: prepare(stores, dataset=None), {Obstacle.DATASET_NOT_READY}),
        (lambda stores: prepare(stores, package=UploadStatus.PENDING), {Obstacle.PACKAGE_NOT_READY}),
        (lambda stores: prepare(stores, package=None), {Obstacle.PACKAGE_NOT_READY}),
        (
            lambda stores: prepare(stores, credits=1, dataset=None, package=None),
            {Obstacle.CREDIT_INSUFFICIENT, Obstacle.DATASET_NOT_READY, Obstacle.PACKAGE_NOT_READY},
        ),
    ],
)
def test_a_refused_submit_names_every_obstacle_and_writes_nothing(
    stores: Stores, arrange: Arrange, obstacles: set[Obstacle]
) -> None:
    arrange(stores)
    before = (stores.ledger.balance(CUSTOMER_ID), kinds(stores), live_jobs(stores))

    with pytest.raises(SubmitRefused) as refused:
        submit(stores, record=RECORD)

    assert refused.value.obstacles == obstacles
    assert stores.jobs.get(a_submitted_job().id) is None
    assert stores.idempotency.get(RECORD.id) is None
    assert (stores.ledger.balance(CUSTOMER_ID), kinds(stores), live_jobs(stores)) == before


def test_a_used_key_refuses_the_second_job(stores: Stores) -> None:
    prepare(stores, credits=40)
    submit(stores, record=RECORD)

    with pytest.raises(SubmitRefused) as refused:
        submit(stores, id="second", record=RECORD)

    assert refused.value.obstacles == {Obstacle.IDEMPOTENCY_KEY_USED, Obstacle.CREDIT_INSUFFICIENT}
    assert stores.jobs.get("second") is None
    assert stores.ledger.balance(CUSTOMER_ID).held == 30


def test_a_job_that_is_there_is_not_submitted_again(stores: Stores) -> None:
    prepare(stores)
    job = submit(stores)
    stores.jobs.begin_planning(job.id)

    with pytest.raises(SubmitRefused) as refused:
        submit(stores, name="another")

    assert refused.value.obstacles == {Obstacle.BUSY}
    planned = stores.jobs.get(job.id)
    assert planned == replace(job, status=JobStatus.PLANNING)
    assert stores.ledger.balance(CUSTOMER_ID).held == 30


def test_a_full_quota_is_named_beside_the_other_obstacles(stores: Stores) -> None:
    prepare(stores, credits=40)
    job = submit(stores)
    full = replace(an_admission(stores.limits, job), job_id="second", max_live_jobs=1)
    price = hold(customer_id=CUSTOMER_ID, job_id="second", amount=30, at=NOW)

    with pytest.raises(SubmitRefused) as refused:
        stores.transitions.submit(replace(job, id="second"), hold=price, admission=full, record=None)

    assert refused.value.obstacles == {Obstacle.CREDIT_INSUFFICIENT, Obstacle.QUOTA_FULL}


def ended(unit: Unit, **changes: Any) -> Unit:
    fresh = {"status": UnitStatus.COMPLETED, "lease": None, "credits": 4, "completed_by": "token-1", "finished_at": LATER}
    return replace(unit, **(fresh | changes))


def paid(stores: Stores, unit: Unit, *, amount: int = 4) -> bool:
    price = debit(customer_id=CUSTOMER_ID, job_id=unit.job_id, unit_id=unit.id, amount=amount, at=LATER)
    return stores.transitions.settle(unit, price)


def test_a_completed_unit_is_debited_and_counted_once(stores: Stores) -> None:
    job = stores.submitted()
    first, second = ended(a_unit(0)), ended(a_unit(1))

    answers = [paid(stores, first), paid(stores, first), paid(stores, first, amount=9), paid(stores, second)]

    assert answers == [True, False, False, True]
    counted = stores.jobs.get(job.id)
    assert counted is not None
    assert (counted.units_completed, counted.credits_spent, counted.progressed_at) == (2, 8, LATER)
    balance = stores.ledger.balance(CUSTOMER_ID)
    assert (balance.held, balance.spent) == (30 - 8, 8)


def test_a_unit_of_no_job_is_not_paid(stores: Stores) -> None:
    stores.submitted()
    with pytest.raises(StaleWrite):
        paid(stores, ended(a_unit(0, id="nobody.00000", job_id="nobody")))
    assert stores.ledger.balance(CUSTOMER_ID).spent == 0
    assert EntryKind.DEBIT not in kinds(stores)


def test_a_job_that_is_not_there_has_no_end(stores: Stores) -> None:
    job = stores.submitted()
    assert not stores.transitions.close(replace(job, id="nobody"), ending(job, JobStatus.CANCELLED))
    assert stores.jobs.get(job.id) == job
    assert stores.jobs.get("nobody") is None


def test_what_is_not_held_cannot_be_spent(stores: Stores) -> None:
    stores.submitted()
    with pytest.raises(StaleWrite):
        paid(stores, ended(a_unit(0)), amount=31)
    balance = stores.ledger.balance(CUSTOMER_ID)
    assert (balance.held, balance.spent) == (30, 0)


def test_what_is_not_held_cannot_be_released_and_the_job_stays_live(stores: Stores) -> None:
    job = stores.submitted()
    with pytest.raises(StaleWrite):
        stores.transitions.close(job, ending(job, JobStatus.CANCELLED, amount=31))
    assert stores.jobs.get(job.id) == job
    assert live_jobs(stores) == [{job.id}, {job.id}]


def ending(job: Job, status: JobStatus, *, amount: int = 30, failure: Failure | None = None) -> Ending:
    rest = release(customer_id=CUSTOMER_ID, job_id=job.id, amount=amount, at=LATER) if amount else None
    return Ending(status, failure, rest, LATER)


FAILURE = Failure(FailureCode.NO_MODEL, Blame.USER, "It wrote no model.", "unit", 1, 0, "tail")


@pytest.mark.parametrize(
    ("status", "failure"),
    [(JobStatus.COMPLETED, None), (JobStatus.CANCELLED, None), (JobStatus.FAILED, FAILURE)],
)
def test_an_end_releases_the_hold_and_frees_the_uploads(stores: Stores, status: JobStatus, failure: Failure | None) -> None:
    job = stores.submitted()
    stores.jobs.park(job.id, task_token="token", entered="00001")

    assert stores.transitions.close(job, ending(job, status, failure=failure))

    closed = stores.jobs.get(job.id)
    assert closed == replace(job, status=status, failure=failure, finished_at=LATER, task_token=None, parked_at="00001")
    assert stores.ledger.balance(CUSTOMER_ID).held == 0
    assert live_jobs(stores) == [set(), set()]


def test_the_first_end_counts(stores: Stores) -> None:
    job = stores.submitted()
    stores.transitions.close(job, ending(job, JobStatus.CANCELLED))
    closed, balance = stores.jobs.get(job.id), stores.ledger.balance(CUSTOMER_ID)

    for status in (JobStatus.CANCELLED, JobStatus.FAILED, JobStatus.COMPLETED):
        assert stores.transitions.close(job, ending(job, status)) is False

    assert stores.jobs.get(job.id) == closed
    assert stores.ledger.balance(CUSTOMER_ID) == balance
    assert kinds(stores).count(EntryKind.RELEASE) == 1


def test_an_end_with_nothing_left_releases_nothing(stores: Stores) -> None:
    job = stores.submitted(quote=Quote(4))
    paid(stores, ended(a_unit(0)))

    assert stores.transitions.close(read_again(stores, job), ending(job, JobStatus.COMPLETED, amount=0))

    assert EntryKind.RELEASE not in kinds(stores)
    assert stores.ledger.balance(CUSTOMER_ID).held == 0


def test_an_end_keeps_what_was_written_since_the_job_was_read(stores: Stores) -> None:
    job = stores.submitted()
    paid(stores, ended(a_unit(0)))
    stores.jobs.request_cancel(job.id, at=NOW)

    read = replace(job, units_completed=1, credits_spent=4)
    assert stores.transitions.close(read, ending(job, JobStatus.CANCELLED, amount=26))

    closed = stores.jobs.get(job.id)
    assert closed is not None
    assert (closed.units_completed, closed.credits_spent, closed.cancel_requested_at) == (1, 4, NOW)
    assert closed.progressed_at is None


@pytest.mark.parametrize("paid_before", [0, 1, 2])
def test_a_job_that_paid_for_a_unit_since_it_was_read_is_not_ended(stores: Stores, paid_before: int) -> None:
    job = stores.submitted()
    for index in range(paid_before):
        paid(stores, ended(a_unit(index)))
    read = read_again(stores, job)
    paid(stores, ended(a_unit(paid_before)))

    assert not stores.transitions.close(read, ending(job, JobStatus.CANCELLED, amount=30 - 4 * paid_before))

    assert read_again(stores, job).is_live
    assert EntryKind.RELEASE not in kinds(stores)
    assert live_jobs(stores) == [{job.id}, {job.id}]
    fresh = read_again(stores, job)
    assert stores.transitions.close(fresh, ending(job, JobStatus.CANCELLED, amount=30 - fresh.credits_spent))


@pytest.mark.parametrize("paid_before", [0, 1])
def test_an_ended_job_pays_for_nothing_more(stores: Stores, paid_before: int) -> None:
    job, other = stores.submitted(), stores.submitted(id="other")
    for index in range(paid_before):
        paid(stores, ended(a_unit(index)))
    read = read_again(stores, job)
    stores.transitions.close(read, ending(job, JobStatus.CANCELLED, amount=30 - read.credits_spent))
    closed = read_again(stores, job)

    with pytest.raises(StaleWrite):
        paid(stores, ended(a_unit(9)))
    assert [paid(stores, ended(a_unit(index))) for index in range(paid_before)] == [False] * paid_before

    assert read_again(stores, job) == closed
    assert stores.ledger.balance(CUSTOMER_ID).held == other.quote.credits


def test_the_row_of_an_ended_job_tells_what_it_paid(stores: Stores) -> None:
    """The stream and the indexes have nothing but the row."""
    if not isinstance(stores, DynamoStores):
        return
    job = stores.submitted()
    paid(stores, ended(a_unit(0)))
    stores.transitions.close(read_again(stores, job), ending(job, JobStatus.COMPLETED, amount=26))
    item = stores.client.get_item(TableName=f"{stores.prefix}jobs", Key={"job_id": {"S": job.id}}, ConsistentRead=True)
    row = job_from(item["Item"])
    assert (row.units_completed, row.credits_spent, row.status) == (1, 4, JobStatus.COMPLETED)


def read_again(stores: Stores, job: Job) -> Job:
    found = stores.jobs.get(job.id)
    assert found is not None
    return found


def test_an_upload_stays_in_use_while_another_job_needs_it(stores: Stores) -> None:
    first, second = stores.submitted(), stores.submitted(id="second")

    stores.transitions.close(first, ending(first, JobStatus.CANCELLED))

    assert live_jobs(stores) == [{second.id}, {second.id}]
