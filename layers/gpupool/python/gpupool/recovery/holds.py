"""Whether the credits that a customer's jobs hold are those that the ledger says are held."""

import logging

from gpupool.jobs.store import JobStore
from gpupool.ledger.store import LedgerStore
from gpupool.limits.store import LimitStore
from gpupool.recovery import decide
from gpupool.recovery.model import Finding, Found

logger = logging.getLogger(__name__)

_TRIES = 3


class HoldCheck:
    """A read of the balance before and after, one of the quota, and one per live job; no query, no write."""

    def __init__(self, *, ledger: LedgerStore, limits: LimitStore, jobs: JobStore) -> None:
        self._ledger = ledger
        self._limits = limits
        self._jobs = jobs

    def look(self, customer_id: str) -> Found | None:
        """HOLD_WITHOUT_JOB when the two differ; it is told again as long as they do, and never repaired.

        Every change of a hold, and of the list of live jobs, is one transaction with a transfer. So two readings of the balance
        with nothing posted between them enclose one moment; a customer whose credits move faster is left for another time.
        """
        before = self._ledger.balance(customer_id)
        for _ in range(_TRIES):
            rows = [self._jobs.get(job_id) for job_id in sorted(self._limits.quota(customer_id).live_jobs)]
            jobs = [job for job in rows if job is not None]
            after = self._ledger.balance(customer_id)
            if after.latest == before.latest:
                if decide.agrees(after, jobs):
                    return None
                logger.error(
                    "hold_without_job",
                    extra={"customer_id": customer_id, "held": after.held, "of_live_jobs": decide.held_by(jobs)},
                )
                return Found(Finding.HOLD_WITHOUT_JOB, customer_id)
            before = after
        return None
