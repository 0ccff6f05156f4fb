"""Ended jobs: whether everything that was to be told of them was told."""

from collections.abc import Callable, Iterable, Iterator

from gpupool.clock import Clock
from gpupool.events.model import Event
from gpupool.events.store import EventStore
from gpupool.jobs.model import Job
from gpupool.recovery import decide
from gpupool.recovery.model import Finding, Found
from gpupool.webhooks.fan_out import FanOut, delivery_of
from gpupool.webhooks.model import Endpoint
from gpupool.webhooks.store import WebhookStore

# Of a job's timeline; its own events, above all that of its end, are looked for beside these.
EVENTS_PER_JOB = 50
DELIVERIES_PER_RUN = 300


class EndCheck:
    """One read per event of the job itself, four at most. Where its customer has webhooks, also a page of the timeline and one
    read per event and endpoint; a run begins no further job once it has made ``DELIVERIES_PER_RUN`` of these."""

    def __init__(self, *, events: EventStore, webhooks: WebhookStore, fan_out: FanOut, clock: Clock) -> None:
        self._events = events
        self._webhooks = webhooks
        self._fan_out = fan_out
        self._clock = clock

    def look(self, job: Job, endpoints: Callable[[str], tuple[Endpoint, ...]], *, spend: Callable[[], None]) -> Iterator[Found]:
        """Findings, each repaired by the time it is told. ``spend`` hears of every delivery that is looked for."""
        story = decide.story_of(job)
        lost = tuple(event for event in story if not self._events.has(event))
        self._events.add(lost)
        yield from (Found(Finding.CHANGE_WITHOUT_EVENT, event.id, job.id) for event in lost)
        receivers = endpoints(job.customer_id)
        if receivers:
            timeline = self._events.page(job.id, limit=EVENTS_PER_JOB, key=None).items
            told = {event.id: event for event in (*timeline, *story)}
            # What was lost is delivered because it was written now.
            absent = {event.id for event in lost}
            yield from self._undelivered((each for each in told.values() if each.id not in absent), receivers, spend)

    def _undelivered(
        self, events: Iterable[Event], endpoints: tuple[Endpoint, ...], spend: Callable[[], None]
    ) -> Iterator[Found]:
        now = self._clock.now()
        for event in events:
            for endpoint in endpoints:
                if not decide.was_due_to(endpoint, event, now=now):
                    continue
                spend()
                if self._webhooks.delivery(endpoint.id, delivery_of(event, endpoint, now=now).id) is None:
                    self._fan_out.enqueue(endpoint, event)
                    yield Found(Finding.EVENT_WITHOUT_DELIVERY, event.id, event.job_id)
