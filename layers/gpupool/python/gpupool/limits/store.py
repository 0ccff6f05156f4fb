"""Where buckets and quotas are kept. Quotas are changed by transitions, together with the jobs they count."""

from typing import Protocol

from gpupool.limits.model import Bucket, Quota, Standing


class LimitStore(Protocol):
    def take(self, owner: str, bucket: Bucket) -> Standing:
        """Takes one token from the owner's bucket, if there is one; atomic among all callers."""

    def quota(self, customer_id: str) -> Quota: ...

    def set_maxima(self, customer_id: str, *, live_jobs: int | None, units_per_day: int | None) -> Quota:
        """Gives one customer maxima of its own; None takes them back."""
