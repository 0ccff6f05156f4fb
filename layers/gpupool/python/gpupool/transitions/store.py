"""The three atomic changes that carry the platform's promises, and the read before the first. Each is one transaction; each
may be repeated."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from gpupool.idempotency.model import IdempotencyRecord
from gpupool.jobs.model import Job, JobStatus
from gpupool.ledger.model import Transfer
from gpupool.limits.model import Admission, Quota
from gpupool.units.model import Failure, Unit
from gpupool.uploads.model import Upload


class Obstacle(StrEnum):
    """What stood in the way of a submit."""

    IDEMPOTENCY_KEY_USED = "idempotency_key_used"
    CREDIT_INSUFFICIENT = "credit_insufficient"
    DATASET_NOT_READY = "dataset_not_ready"
    PACKAGE_NOT_READY = "package_not_ready"
    QUOTA_FULL = "quota_full"  # or another day has begun: look again and decide again
    BUSY = "busy"  # a concurrent writer; try again


class SubmitRefused(Exception):
    """Nothing was written; ``obstacles`` says why."""

    def __init__(self, obstacles: frozenset[Obstacle]) -> None:
        super().__init__(", ".join(sorted(obstacles)))
        self.obstacles = obstacles


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ends: its state, why, and what goes back to the customer (None when nothing is left of the hold)."""

    status: JobStatus
    failure: Failure | None
    release: Transfer | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a submit has to know; ``record_id`` is None without an idempotency key."""

    customer_id: str
    dataset_id: str
    package_id: str
    now: datetime
    record_id: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What was there, None for what was not. A record that has expired is not there."""

    dataset: Upload | None
    package: Upload | None
    record: IdempotencyRecord | None
    quota: Quota


class Transitions(Protocol):
    def look(self, wanted: Wanted) -> Seen:
        """Everything that a submit decides on, read consistently and in one call."""

    def submit(self, job: Job, *, hold: Transfer, admission: Admission, record: IdempotencyRecord | None) -> None:
        """Creates the job, holds its price, counts it in the quota, marks both uploads as in use and the key as used."""

    def settle(self, unit: Unit, debit: Transfer) -> bool:
        """Debits a completed unit of a live job and counts it; False when that had been done before."""

    def close(self, job: Job, ending: Ending) -> bool:
        """Ends a live job, releases what is left of its hold, frees its uploads and its place among the live jobs.

        False when it had ended before, or has paid for a unit since ``job`` was read: then the rest is another.
        """
