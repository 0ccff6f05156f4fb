"""Whether there is a token left, and whether one more job fits.

A bucket is one number, the moment at which it will be full again (generic cell rate algorithm): taking a token moves that
moment on by the time one token takes to come back, and there is a token as long as it stays within one period from now.
"""

from datetime import datetime, timedelta

from gpupool.errors import Throttled
from gpupool.limits.model import Admission, Allowance, Bucket, Quota, Standing

_SECOND = 1_000_000
# When a job may have ended, for want of anything better to say.
_TRY_JOBS_AGAIN = 30


def take(full_at: int | None, *, bucket: Bucket, now: int) -> tuple[int | None, Standing]:
    """When the bucket is full after a token was taken, None when there was none. Moments are microseconds since 1970."""
    after = max(full_at or 0, now) + bucket.interval
    if after - now > bucket.period:
        return None, _refused(after, bucket=bucket, now=now)
    return after, standing(after, bucket=bucket, now=now)


def standing(full_at: int, *, bucket: Bucket, now: int) -> Standing:
    """What is left of a bucket from which a token was just taken."""
    owed = full_at - now
    return Standing(bucket.capacity, max(0, (bucket.period - owed) // bucket.interval), _seconds(owed))


def _refused(after: int, *, bucket: Bucket, now: int) -> Standing:
    owed = after - bucket.interval - now
    return Standing(bucket.capacity, 0, _seconds(owed), retry_after=max(1, _seconds(after - now - bucket.period)))


def _seconds(microseconds: int) -> int:
    return -(-microseconds // _SECOND)


def admit(quota: Quota, *, job_id: str, units: int, allowance: Allowance, now: datetime) -> Admission:
    """How one more job goes into the quota.

    RATE_LIMITED while as many jobs are live as may be, DAILY_TASK_LIMIT_EXCEEDED when the day's units do not cover this job.
    """
    most_jobs = allowance.live_jobs if quota.max_live_jobs is None else quota.max_live_jobs
    if len(quota.live_jobs) >= most_jobs:
        raise Throttled(
            f"{len(quota.live_jobs)} training jobs are running, as many as may at once; wait for one to end or cancel one.",
            retry_after=_TRY_JOBS_AGAIN,
            details={"live_jobs": len(quota.live_jobs), "max_live_jobs": most_jobs},
        )
    today = now.date()
    used = quota.units_today if quota.day == today else 0
    most_units = allowance.units_per_day if quota.max_units_per_day is None else quota.max_units_per_day
    if used + units > most_units:
        raise Throttled(
            f"The job has {units} compute units and {max(0, most_units - used)} of {most_units} are left today (UTC); "
            "submit it tomorrow, or ask for fewer units.",
            code="DAILY_TASK_LIMIT_EXCEEDED",
            retry_after=_until_midnight(now),
            details={"units": units, "units_used": used, "units_per_day": most_units},
        )
    return Admission(
        customer_id=quota.customer_id,
        job_id=job_id,
        units=units,
        day=today,
        first_of_day=quota.day != today,
        max_live_jobs=most_jobs,
        max_units_per_day=most_units,
    )


def _until_midnight(now: datetime) -> int:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return max(1, -(-int((midnight - now).total_seconds() * _SECOND) // _SECOND))
