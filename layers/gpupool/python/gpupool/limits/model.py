"""Token buckets, and what a customer has in use."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Bucket:
    """``capacity`` tokens that refill evenly, all of them within ``period_seconds``."""

    name: str
    capacity: int
    period_seconds: int

    @property
    def period(self) -> int:
        """In microseconds."""
        return self.period_seconds * 1_000_000

    @property
    def interval(self) -> int:
        """Microseconds until one token is back."""
        return self.period // self.capacity


@dataclass(frozen=True, slots=True)
class Standing:
    """A bucket after a token was asked for. ``retry_after`` is None when there was one; both times are whole seconds, up."""

    limit: int
    remaining: int
    reset_after: int
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """The buckets of this deployment. ``strangers`` and ``logins`` count by network address, the others by customer."""

    requests: Bucket
    jobs: Bucket
    strangers: Bucket
    logins: Bucket
    account_logins: Bucket


@dataclass(frozen=True, slots=True)
class Allowance:
    """What every customer may have who was not given another measure."""

    live_jobs: int
    units_per_day: int


@dataclass(frozen=True, slots=True)
class Quota:
    """One customer's jobs that have not ended, and the units planned on ``day`` (UTC). None: as everybody."""

    customer_id: str
    live_jobs: frozenset[str] = frozenset()
    day: date | None = None
    units_today: int = 0
    max_live_jobs: int | None = None
    max_units_per_day: int | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """One more job that fits: what is added to the quota, and the bounds that must still hold when it is."""

    customer_id: str
    job_id: str
    units: int
    day: date
    # Whether the quota counts an earlier day, or none, so that counting starts anew.
    first_of_day: bool
    max_live_jobs: int
    max_units_per_day: int
