"""Jobs in memory and in DynamoDB answer alike."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from gpupool.jobs.model import LIVE, JobStatus, Quote, QuoteLine
from gpupool.ledger.model import debit
from gpupool.transitions.store import Ending
from tests.contract.both import DynamoStores, Stores, a_submitted_job
from tests.factories import CUSTOMER_ID, NOW, a_unit

LATER = NOW + timedelta(seconds=60)


def end(stores: Stores, job_id: str, status: JobStatus = JobStatus.CANCELLED) -> None:
    job = stores.jobs.get(job_id)
    assert job is not None
    assert stores.transitions.close(job, Ending(status, None, None, LATER))


def test_a_job_comes_back_as_it_was_written(stores: Stores) -> None:
    job = stores.submitted(parameters={"rate": 0.5, "deep": True}, quote=Quote(30, (QuoteLine("cpu", 3, 30),)))
    assert stores.jobs.get(job.id) == job


def test_a_job_that_is_not_there_is_none_and_cannot_be_moved(stores: Stores) -> None:
    assert stores.jobs.get("nobody") is None
    assert stores.jobs.begin_planning("nobody") is None
    assert stores.jobs.begin_running("nobody", units_total=1, at=NOW) is None
    assert stores.jobs.park("nobody", task_token="t", entered="00001") is None
    assert stores.jobs.request_cancel("nobody", at=NOW) is None
    assert stores.jobs.get("nobody") is None


def test_planning_begins_once_or_again_but_not_after_running(stores: Stores) -> None:
    job = stores.submitted()
    first = stores.jobs.begin_planning(job.id)
    assert first is not None
    assert first.status is JobStatus.PLANNING
    assert stores.jobs.begin_planning(job.id) == first

    stores.jobs.begin_running(job.id, units_total=3, at=NOW)

    assert stores.jobs.begin_planning(job.id) is None


def test_running_begins_after_planning_and_keeps_its_first_start(stores: Stores) -> None:
    job = stores.submitted()
    assert stores.jobs.begin_running(job.id, units_total=3, at=NOW) is None
    stores.jobs.begin_planning(job.id)

    first = stores.jobs.begin_running(job.id, units_total=3, at=NOW)
    again = stores.jobs.begin_running(job.id, units_total=3, at=LATER)

    assert first is not None
    assert (first.status, first.units_total, first.started_at) == (JobStatus.RUNNING, 3, NOW)
    assert again == first == stores.jobs.get(job.id)


@pytest.mark.parametrize("status", [status for status in JobStatus if status not in LIVE])
def test_an_ended_job_does_not_move(stores: Stores, status: JobStatus) -> None:
    job = stores.submitted()
    end(stores, job.id, status)
    ended = stores.jobs.get(job.id)

    assert stores.jobs.begin_planning(job.id) is None
    assert stores.jobs.begin_running(job.id, units_total=1, at=NOW) is None
    assert stores.jobs.request_cancel(job.id, at=NOW) is None
    assert stores.jobs.get(job.id) == ended


class Overtaken:
    """A client that lets another writer be faster: what ``faster`` does happens between a read of the job and what follows."""

    def __init__(self, client: Any, faster: Callable[[], object]) -> None:
        self._client = client
        self._faster = faster

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def get_item(self, **query: Any) -> Any:
        answer = self._client.get_item(**query)
        self._faster()
        return answer


def test_of_two_that_begin_at_once_the_first_says_when_it_started(stores: Stores) -> None:
    if not isinstance(stores, DynamoStores):
        return
    job = stores.submitted()
    stores.jobs.begin_planning(job.id)
    client = Overtaken(stores.client, lambda: stores.jobs.begin_running(job.id, units_total=2, at=NOW))
    slower = DynamoStores(client, prefix=stores.prefix)

    begun = slower.jobs.begin_running(job.id, units_total=2, at=LATER)

    assert begun is not None
    assert begun.started_at == NOW
    assert stores.jobs.get(job.id) == begun


def test_the_last_token_parked_counts_and_the_answer_shows_the_row(stores: Stores) -> None:
    job = stores.submitted()
    stores.jobs.park(job.id, task_token="first", entered="00001")
    stores.jobs.request_cancel(job.id, at=NOW)

    parked = stores.jobs.park(job.id, task_token="second", entered="00002")

    assert parked is not None
    assert (parked.task_token, parked.cancel_requested_at) == ("second", NOW)
    assert stores.jobs.get(job.id) == parked


def test_an_earlier_wait_cannot_be_parked_over_a_later_one(stores: Stores) -> None:
    job = stores.submitted()
    parked = stores.jobs.park(job.id, task_token="later", entered="2026-01-01T00:00:01.000Z#00000")

    assert stores.jobs.park(job.id, task_token="earlier", entered="2026-01-01T00:00:00.999Z#00003") is None
    assert stores.jobs.get(job.id) == parked
    again = stores.jobs.park(job.id, task_token="retried", entered="2026-01-01T00:00:01.000Z#00001")
    assert again is not None
    assert again.task_token == "retried"


@pytest.mark.parametrize("planned", [0, 1, 2])
def test_a_cancel_is_noted_in_every_live_state_and_keeps_its_first_time(stores: Stores, planned: int) -> None:
    job = stores.submitted()
    if planned:
        stores.jobs.begin_planning(job.id)
    if planned > 1:
        stores.jobs.begin_running(job.id, units_total=1, at=NOW)

    first = stores.jobs.request_cancel(job.id, at=NOW)
    again = stores.jobs.request_cancel(job.id, at=LATER)

    assert first is not None
    assert first.cancel_requested_at == NOW
    assert again == first


def test_what_moves_an_ended_job_is_told_what_it_paid(stores: Stores) -> None:
    job = stores.submitted()
    price = debit(customer_id=CUSTOMER_ID, job_id=job.id, unit_id=f"{job.id}.00000", amount=4, at=NOW)
    stores.transitions.settle(a_unit(job_id=job.id), price)
    end(stores, job.id)

    parked = stores.jobs.park(job.id, task_token="late", entered="00009")

    assert parked is not None
    assert (parked.units_completed, parked.credits_spent) == (1, 4)
    assert parked == stores.jobs.get(job.id)


IDS = [f"01890a5d-0000-774b-bcce-00000000000{at}" for at in range(5)]


def listed(stores: Stores, status: JobStatus | None, *, limit: int = 2, customer_id: str = CUSTOMER_ID) -> list[list[str]]:
    pages: list[list[str]] = []
    key = None
    while True:
        page = stores.jobs.page(customer_id, status=status, limit=limit, key=key)
        pages.append([job.id for job in page.items])
        key = page.next_key
        if key is None:
            return pages
        assert key == {"job_id": page.items[-1].id}


def test_jobs_are_listed_newest_first_in_pages(stores: Stores) -> None:
    for job_id in IDS:
        stores.submitted(id=job_id)
    assert listed(stores, None) == [[IDS[4], IDS[3]], [IDS[2], IDS[1]], [IDS[0]]]


@pytest.mark.parametrize(("limit", "pages"), [(5, 1), (1, 5), (4, 2), (100, 1)])
def test_a_full_last_page_is_the_last(stores: Stores, limit: int, pages: int) -> None:
    for job_id in IDS:
        stores.submitted(id=job_id)
    assert len(listed(stores, None, limit=limit)) == pages


def test_jobs_are_listed_by_status_as_it_moves(stores: Stores) -> None:
    for job_id in IDS:
        stores.submitted(id=job_id)
    assert listed(stores, JobStatus.QUEUED, limit=5) == [IDS[::-1]]
    for job_id in IDS[:3]:
        stores.jobs.begin_planning(job_id)
    stores.jobs.begin_running(IDS[0], units_total=1, at=NOW)
    end(stores, IDS[1], JobStatus.FAILED)
    stores.jobs.request_cancel(IDS[4], at=NOW)

    assert listed(stores, JobStatus.QUEUED) == [[IDS[4], IDS[3]]]
    assert listed(stores, JobStatus.PLANNING) == [[IDS[2]]]
    assert listed(stores, JobStatus.RUNNING) == [[IDS[0]]]
    assert listed(stores, JobStatus.FAILED) == [[IDS[1]]]
    assert listed(stores, JobStatus.CANCELLED) == [[]]


def test_a_customer_is_shown_no_other_customers_jobs(stores: Stores) -> None:
    stores.submitted()
    assert listed(stores, None, customer_id="somebody-else") == [[]]
    assert listed(stores, JobStatus.QUEUED, customer_id="somebody-else") == [[]]


def test_a_fresh_job_is_what_the_factory_says(stores: Stores) -> None:
    assert stores.submitted() == a_submitted_job()


def test_a_job_is_watched_from_its_creation_until_somebody_has_checked_its_end(stores: Stores) -> None:
    for job_id in IDS[:3]:
        stores.submitted(id=job_id)
    stores.jobs.begin_planning(IDS[0])
    end(stores, IDS[1])

    assert stores.jobs.watched(limit=10) == tuple(IDS[:3])
    stores.jobs.unwatch(IDS[1])
    assert stores.jobs.watched(limit=10) == (IDS[0], IDS[2])
    assert stores.jobs.watched(limit=1) == (IDS[0],)


def test_a_live_job_stays_watched_and_unwatching_changes_nothing_else(stores: Stores) -> None:
    job = stores.submitted()
    stores.jobs.unwatch(job.id)
    stores.jobs.unwatch("nobody")
    assert stores.jobs.watched(limit=10) == (job.id,)

    end(stores, job.id)
    ended = stores.jobs.get(job.id)
    for _ in range(2):
        stores.jobs.unwatch(job.id)

    assert stores.jobs.watched(limit=10) == ()
    assert stores.jobs.get(job.id) == ended
    assert stores.jobs.get("nobody") is None


def pay(stores: Stores, job_id: str, *amounts: int) -> None:
    for index, amount in enumerate(amounts):
        unit = a_unit(index, id=f"{job_id}.{index:05d}", job_id=job_id)
        price = debit(customer_id=CUSTOMER_ID, job_id=job_id, unit_id=unit.id, amount=amount, at=LATER)
        assert stores.transitions.settle(unit, price)


def counters(stores: Stores) -> dict[str, tuple[int, int]]:
    """Of each job as the list tells them; what a read of the job tells is the same."""
    jobs = stores.jobs.page(CUSTOMER_ID, status=None, limit=10, key=None).items
    assert jobs == tuple(stores.jobs.get(job.id) for job in jobs)
    return {job.id: (job.units_completed, job.credits_spent) for job in jobs}


def test_what_a_job_has_paid_is_told_while_it_lives_and_afterwards(stores: Stores) -> None:
    for job_id in IDS[:4]:
        stores.submitted(id=job_id, quote=Quote(20))
    pay(stores, IDS[0], 4)
    pay(stores, IDS[1], 3, 2)
    pay(stores, IDS[2], 1)
    before = counters(stores)

    end(stores, IDS[1], JobStatus.COMPLETED)
    end(stores, IDS[3])

    assert before == {IDS[0]: (1, 4), IDS[1]: (2, 5), IDS[2]: (1, 1), IDS[3]: (0, 0)}
    assert counters(stores) == before
    (ended,) = stores.jobs.page(CUSTOMER_ID, status=JobStatus.COMPLETED, limit=10, key=None).items
    assert (ended.units_completed, ended.credits_spent) == (2, 5)


def test_a_move_answers_no_counters_and_leaves_them_alone(stores: Stores) -> None:
    job = stores.submitted()
    pay(stores, job.id, 4)

    answers = (
        stores.jobs.begin_planning(job.id),
        stores.jobs.begin_running(job.id, units_total=3, at=NOW),
        stores.jobs.park(job.id, task_token="token", entered="00001"),
        stores.jobs.request_cancel(job.id, at=NOW),
    )

    assert [(answer.units_completed, answer.credits_spent) for answer in answers if answer] == [(0, 0)] * 4
    assert counters(stores) == {job.id: (1, 4)}
