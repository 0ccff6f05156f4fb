"""The four atomic changes that carry the platform's promises. Each is one transaction; each may be repeated."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from gpupool.artifacts.model import Artifact
from gpupool.idempotency.model import IdempotencyRecord
from gpupool.jobs.model import Job, JobStatus
from gpupool.ledger.model import Transfer
from gpupool.units.model import Failure, Unit


class Obstacle(StrEnum):
    """What stood in the way of a submit."""

    IDEMPOTENCY_KEY_USED = "idempotency_key_used"
    CREDIT_INSUFFICIENT = "credit_insufficient"
    DATASET_NOT_READY = "dataset_not_ready"
    PACKAGE_NOT_READY = "package_not_ready"
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


class Transitions(Protocol):
    def submit(self, job: Job, *, hold: Transfer, record: IdempotencyRecord | None) -> None:
        """Creates the job, holds its price, marks both uploads as in use and the idempotency key as used."""

    def finish_unit(self, unit: Unit, artifacts: tuple[Artifact, ...]) -> Unit:
        """Ends an attempt together with what it left behind; StaleWrite when the unit moved on meanwhile."""

    def settle(self, unit: Unit, debit: Transfer) -> bool:
        """Debits a completed unit and counts it on its job; False when that had been done before."""

    def close(self, job: Job, ending: Ending) -> bool:
        """Ends a live job, releases what is left of its hold and frees its uploads; False when it had ended before."""
