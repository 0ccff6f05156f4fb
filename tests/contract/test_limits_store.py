"""Buckets and quotas in memory and in DynamoDB answer alike. (Several callers at once: tests/local, on the emulator.)"""

from dataclasses import replace
from datetime import timedelta

import pytest

from gpupool.jobs.model import Job, JobStatus
from gpupool.ledger.model import hold
from gpupool.limits.decide import admit
from gpupool.limits.dynamo import DynamoLimitStore
from gpupool.limits.model import Allowance, Bucket, Quota
from gpupool.transitions.store import Ending, Obstacle, SubmitRefused
from tests.contract.both import DynamoStores, Stores, a_submitted_job
from tests.factories import CUSTOMER_ID, NOW

THREE = Bucket("three", 3, 60)
ALLOWANCE = Allowance(live_jobs=2, units_per_day=10)


def told(stores: Stores, owner: str = "ada", *, times: int = 1) -> list[tuple[int, int | None]]:
    standings = [stores.limits.take(owner, THREE) for _ in range(times)]
    return [(standing.remaining, standing.retry_after) for standing in standings]


def test_a_bucket_empties_and_refills(stores: Stores) -> None:
    assert told(stores, times=4) == [(2, None), (1, None), (0, None), (0, 20)]
    stores.clock.advance(20)
    assert told(stores, times=2) == [(0, None), (0, 20)]
    stores.clock.advance(3_600)
    assert told(stores, times=4) == [(2, None), (1, None), (0, None), (0, 20)]


def test_owners_and_buckets_do_not_share_tokens(stores: Stores) -> None:
    told(stores, times=3)
    assert told(stores, "bob") == [(2, None)]
    assert stores.limits.take("ada", replace(THREE, name="other")).remaining == 2


def test_a_process_that_remembers_something_else_decides_by_the_row(stores: Stores) -> None:
    """Each function's environment has a memory of its own; the row is what they share."""
    if not isinstance(stores, DynamoStores):
        return
    other = DynamoLimitStore(stores.client, f"{stores.prefix}limits", stores.clock)
    standings = [store.take("ada", THREE) for store in (stores.limits, other, stores.limits, other)]
    assert [(each.remaining, each.retry_after) for each in standings] == [(2, None), (1, None), (0, None), (0, 20)]
    stores.clock.advance(61)
    assert other.take("ada", THREE).remaining == 2
    assert stores.limits.take("ada", THREE).remaining == 1


def submit(stores: Stores, job: Job, *, units: int = 1, quota: Quota | None = None) -> None:
    known = quota or stores.limits.quota(CUSTOMER_ID)
    admission = admit(known, job_id=job.id, units=units, allowance=ALLOWANCE, now=job.created_at)
    price = hold(customer_id=CUSTOMER_ID, job_id=job.id, amount=job.quote.credits, at=job.created_at)
    stores.transitions.submit(job, hold=price, admission=admission, record=None)


def test_jobs_are_counted_while_they_live(stores: Stores) -> None:
    first = stores.submitted(id="job-1")
    submit(stores, a_submitted_job(id="job-2"), units=4)
    quota = stores.limits.quota(CUSTOMER_ID)
    assert (quota.live_jobs, quota.day, quota.units_today) == ({"job-1", "job-2"}, NOW.date(), 5)

    stores.transitions.close(first, Ending(status=JobStatus.CANCELLED, failure=None, release=None, at=NOW))

    quota = stores.limits.quota(CUSTOMER_ID)
    assert (quota.live_jobs, quota.units_today) == ({"job-2"}, 5)


def test_what_was_admitted_by_an_old_look_is_refused_by_the_row(stores: Stores) -> None:
    """Two submits that looked at the same moment: the row lets in only as many as fit."""
    stores.submitted(id="job-1")
    looked = stores.limits.quota(CUSTOMER_ID)
    submit(stores, a_submitted_job(id="job-2"), units=1, quota=looked)

    for units in (1, 9):
        with pytest.raises(SubmitRefused) as refused:
            submit(stores, a_submitted_job(id="job-3"), units=units, quota=looked)
        assert refused.value.obstacles == {Obstacle.QUOTA_FULL}
    assert stores.jobs.get("job-3") is None
    assert stores.limits.quota(CUSTOMER_ID).units_today == 2


def test_a_new_day_starts_counting_once(stores: Stores) -> None:
    first = stores.submitted(id="job-1")
    stores.transitions.close(first, Ending(status=JobStatus.CANCELLED, failure=None, release=None, at=NOW))
    looked = stores.limits.quota(CUSTOMER_ID)
    tomorrow = NOW + timedelta(days=1)
    submit(stores, a_submitted_job(id="job-2", created_at=tomorrow), units=7, quota=looked)

    with pytest.raises(SubmitRefused):
        submit(stores, a_submitted_job(id="job-3", created_at=tomorrow), units=7, quota=looked)

    quota = stores.limits.quota(CUSTOMER_ID)
    assert (quota.day, quota.units_today, quota.live_jobs) == (tomorrow.date(), 7, {"job-2"})


def test_maxima_of_a_customers_own_stay_with_its_counts(stores: Stores) -> None:
    stores.submitted(id="job-1")
    changed = stores.limits.set_maxima(CUSTOMER_ID, live_jobs=9, units_per_day=None)
    assert changed == stores.limits.quota(CUSTOMER_ID)
    assert (changed.max_live_jobs, changed.max_units_per_day, changed.live_jobs) == (9, None, {"job-1"})
    assert stores.limits.set_maxima(CUSTOMER_ID, live_jobs=None, units_per_day=None).max_live_jobs is None
