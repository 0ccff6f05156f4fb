"""Telling events because rows were written. A record that comes again tells nothing new."""

from gpupool.events.decide import credits_low, credits_low_id, events_of_job, events_of_unit
from gpupool.events.model import LOW_CREDITS
from gpupool.events.store import EventStore
from gpupool.idempotency.model import IdempotencyRecord
from gpupool.idempotency.store import IdempotencyStore
from gpupool.jobs.model import Job
from gpupool.ledger.store import LedgerStore
from gpupool.units.model import Unit


class Announcer:
    def __init__(self, *, events: EventStore, ledger: LedgerStore, idempotency: IdempotencyStore) -> None:
        self._events = events
        self._ledger = ledger
        self._idempotency = idempotency

    def job_written(self, before: Job | None, after: Job) -> None:
        """The job's events, and once a day that its submit left the customer few credits."""
        self._events.add(events_of_job(before, after))
        if before is None:
            self._warn(after)

    def unit_written(self, before: Unit | None, after: Unit) -> None:
        self._events.add(events_of_unit(before, after))

    def _warn(self, job: Job) -> None:
        """Of a day's jobs the first to find few credits tells it; a timeline of another job cannot know that by itself."""
        available = self._ledger.balance(job.customer_id).available
        if available >= LOW_CREDITS:
            return
        name = credits_low_id(job.customer_id, job.created_at)
        first = self._idempotency.reserve(IdempotencyRecord(name, job.id, job.id, job.created_at))
        if first.resource_id == job.id:
            self._events.add((credits_low(job, available),))
