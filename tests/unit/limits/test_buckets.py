"""Token buckets and quotas: pure decisions."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpupool.errors import Throttled
from gpupool.limits.decide import admit, take
from gpupool.limits.model import Allowance, Bucket, Quota

TEN = Bucket("ten", 10, 60)
SECOND = 1_000_000
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALLOWANCE = Allowance(live_jobs=3, units_per_day=200)


def drain(bucket: Bucket, *, now: int, full_at: int | None = None) -> tuple[int, int | None]:
    """How many tokens there were, and what is known of the bucket after that."""
    taken = 0
    while True:
        after, _ = take(full_at, bucket=bucket, now=now)
        if after is None:
            return taken, full_at
        taken, full_at = taken + 1, after


def test_a_full_bucket_holds_its_capacity_and_not_one_more() -> None:
    taken, full_at = drain(TEN, now=0)
    _, refused = take(full_at, bucket=TEN, now=0)

    assert taken == 10
    assert (refused.remaining, refused.retry_after, refused.reset_after) == (0, 6, 60)


def test_a_refused_caller_who_waits_as_told_gets_a_token() -> None:
    _, full_at = drain(TEN, now=0)
    _, refused = take(full_at, bucket=TEN, now=0)
    assert refused.retry_after is not None

    after, standing = take(full_at, bucket=TEN, now=refused.retry_after * SECOND)

    assert after is not None
    assert standing.retry_after is None


def test_what_remains_counts_down() -> None:
    full_at, told = None, []
    for _ in range(10):
        full_at, standing = take(full_at, bucket=TEN, now=0)
        told.append(standing.remaining)
    assert told == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]


@given(
    capacity=st.integers(1, 1_000),
    period=st.integers(1, 3_600),
    waits=st.lists(st.integers(0, 120 * SECOND), max_size=60),
)
def test_no_window_of_one_period_yields_more_than_twice_the_capacity(capacity: int, period: int, waits: list[int]) -> None:
    bucket = Bucket("any", capacity, period)
    full_at: int | None = None
    now, taken = 0, []
    for wait in waits:
        now += wait
        after, standing = take(full_at, bucket=bucket, now=now)
        assert 0 <= standing.remaining <= capacity
        assert (after is None) == (standing.retry_after is not None)
        if after is not None:
            full_at = after
            taken.append(now)
    for start in taken:
        assert sum(start <= at < start + bucket.period for at in taken) <= 2 * capacity


def test_one_more_job_than_may_run_is_refused() -> None:
    quota = Quota("ada", live_jobs=frozenset({"a", "b", "c"}), day=NOON.date(), units_today=3)
    with pytest.raises(Throttled) as refused:
        admit(quota, job_id="d", units=1, allowance=ALLOWANCE, now=NOON)
    assert (refused.value.code, refused.value.details["max_live_jobs"]) == ("RATE_LIMITED", 3)


@pytest.mark.parametrize(("used", "units", "fits"), [(0, 200, True), (0, 201, False), (197, 3, True), (197, 4, False)])
def test_the_days_units_are_counted_to_the_last_one(used: int, units: int, fits: bool) -> None:
    quota = Quota("ada", day=NOON.date(), units_today=used)
    if fits:
        assert admit(quota, job_id="d", units=units, allowance=ALLOWANCE, now=NOON).units == units
        return
    with pytest.raises(Throttled) as refused:
        admit(quota, job_id="d", units=units, allowance=ALLOWANCE, now=NOON)
    assert refused.value.code == "DAILY_TASK_LIMIT_EXCEEDED"
    assert refused.value.retry_after == 12 * 3_600
    assert refused.value.details["units_used"] == used


def test_a_new_day_begins_with_nothing_used() -> None:
    quota = Quota("ada", day=NOON.date(), units_today=200)
    admission = admit(quota, job_id="d", units=200, allowance=ALLOWANCE, now=NOON + timedelta(days=1))
    assert admission.first_of_day


def test_a_customers_own_maxima_replace_everybodys() -> None:
    quota = Quota("ada", live_jobs=frozenset("abc"), max_live_jobs=4, max_units_per_day=1_000)
    admission = admit(quota, job_id="d", units=900, allowance=ALLOWANCE, now=NOON)
    assert (admission.max_live_jobs, admission.max_units_per_day) == (4, 1_000)
