"""Who is asked to wait. Every request takes one token from one bucket."""

import hashlib

from gpupool.accounts.model import email_key
from gpupool.errors import Throttled
from gpupool.limits.model import Bucket, Rates, Standing
from gpupool.limits.store import LimitStore


class Limits:
    def __init__(self, *, store: LimitStore, rates: Rates) -> None:
        self._store = store
        self.rates = rates

    def take(self, bucket: Bucket, owner: str) -> Standing:
        """One token from the owner's bucket; the answer says when to come back if there was none."""
        return self._store.take(owner, bucket)

    def sign_in(self, email: str) -> None:
        """RATE_LIMITED when somebody tried this account's password too often, from wherever."""
        # The address itself is the account's business; a bucket needs only to tell accounts apart.
        account = hashlib.sha256(email_key(email).encode(errors="replace")).hexdigest()
        standing = self._store.take(account, self.rates.account_logins)
        if standing.retry_after is not None:
            raise Throttled(
                "There were too many attempts to sign in to this account; wait and try again.", retry_after=standing.retry_after
            )


def rates(*, requests_per_minute: int, jobs_per_minute: int, logins_per_minute: int) -> Rates:
    """The buckets of a deployment. An address that nobody vouches for gets as many requests as one customer."""
    return Rates(
        requests=Bucket("requests", requests_per_minute, 60),
        jobs=Bucket("jobs", jobs_per_minute, 60),
        strangers=Bucket("strangers", requests_per_minute, 60),
        logins=Bucket("logins", logins_per_minute, 60),
        account_logins=Bucket("account-logins", logins_per_minute, 300),
    )
