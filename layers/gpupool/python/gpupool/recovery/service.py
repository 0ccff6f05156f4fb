"""One run of recovery: looks at some of the watched jobs, repairs what is wrong, and tells what that was.

Bounded whatever there is. A run lists the keys of 10,000 watched jobs at most (1 MB, 130 read units), looks at 50 of them, each
with one page of 100 units or 50 events, and at the holds of their customers. With nothing to repair that is about ten reads a
job, less than ten seconds in all, and one write for each ended job, which is watched no more. Every five minutes that is at
most 600 jobs an hour; with fewer than 50 watched jobs, each is looked at every five minutes.
"""

import logging
from collections.abc import Iterable, Iterator
from functools import cache

from gpupool.clock import Clock
from gpupool.dispatch.queue import Queue
from gpupool.jobs.model import Job
from gpupool.jobs.store import JobStore
from gpupool.recovery import decide
from gpupool.recovery.endings import DELIVERIES_PER_RUN, EndCheck
from gpupool.recovery.holds import HoldCheck
from gpupool.recovery.model import Finding, Found, Report
from gpupool.recovery.units import UnitCheck
from gpupool.webhooks.fan_out import MAX_ENDPOINTS
from gpupool.webhooks.model import Endpoint
from gpupool.webhooks.store import WebhookStore
from gpupool.workflow.executions import Executions
from gpupool.workflow.service import TrainingWorkflow

logger = logging.getLogger(__name__)

EVERY_SECONDS = 300
WATCHED_PER_RUN = 10_000
JOBS_PER_RUN = 50


class Recovery:
    """Every repair may be done twice, and may race the ordinary path: all of them are conditional or derived."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        executions: Executions,
        workflow: TrainingWorkflow,
        queue: Queue,
        webhooks: WebhookStore,
        units: UnitCheck,
        endings: EndCheck,
        holds: HoldCheck,
        clock: Clock,
    ) -> None:
        self._jobs = jobs
        self._executions = executions
        self._workflow = workflow
        self._queue = queue
        self._webhooks = webhooks
        self._units = units
        self._endings = endings
        self._holds = holds
        self._clock = clock

    def run(self) -> Report:
        """One run; a job that cannot be looked at is logged, counted as failed, and holds up no other."""
        watched = self._jobs.watched(limit=WATCHED_PER_RUN)
        number = int(self._clock.now().timestamp()) // EVERY_SECONDS
        chosen, round_ = decide.turn(watched, run=number, size=JOBS_PER_RUN)
        look = _Look(self._queue, self._webhooks, round_)
        customers: set[str] = set()
        for job_id in chosen:
            look.at(job_id, self._look_at_job(job_id, look, customers))
        for customer_id in sorted(customers):
            look.at(customer_id, self._look_at_hold(customer_id))
        return Report(len(watched), len(chosen), look.failed, tuple(look.found))

    def _look_at_job(self, job_id: str, look: "_Look", customers: set[str]) -> Iterator[Found]:
        job = self._jobs.get(job_id)
        if job is None:
            return
        customers.add(job.customer_id)
        if decide.is_young(job, now=self._clock.now()):
            return
        if not job.is_live:
            yield from self._look_at_end(job, look)
        elif self._is_deserted(job):
            yield Found(Finding.JOB_WITHOUT_EXECUTION, job.id, job.id)
        else:
            yield from self._units.look(job, round_=look.round_, waiting=look.waiting)

    def _look_at_end(self, job: Job, look: "_Look") -> Iterator[Found]:
        """A job of which something was lost stays watched, so that the next time finds it mended."""
        if look.deliveries >= DELIVERIES_PER_RUN:
            return
        in_order = True
        for found in self._endings.look(job, look.endpoints, spend=look.spend):
            in_order = False
            yield found
        if in_order:
            self._jobs.unwatch(job.id)

    def _is_deserted(self, job: Job) -> bool:
        """Whether nothing drove the live job; by then its execution was started, or another one that closes it."""
        name = decide.execution_of(job)
        run = self._executions.look(name)
        if not decide.is_deserted(run, now=self._clock.now()):
            return False
        if run is None:
            self._executions.start(job.id, generation=job.generation)
        else:
            self._workflow.abandon(name)
        return True

    def _look_at_hold(self, customer_id: str) -> Iterator[Found]:
        found = self._holds.look(customer_id)
        if found is not None:
            yield found


class _Look:
    """What one run knows and has found."""

    def __init__(self, queue: Queue, webhooks: WebhookStore, round_: int) -> None:
        self.round_ = round_
        self.waiting = cache(queue.waiting)
        self.endpoints = cache(lambda customer_id: _endpoints(webhooks, customer_id))
        self.deliveries = 0
        self.failed = 0
        self.found: list[Found] = []

    def spend(self) -> None:
        self.deliveries += 1

    def at(self, about: str, findings: Iterable[Found]) -> None:
        """Takes down what is found there; whatever goes wrong concerns this one alone."""
        try:
            for each in findings:
                self.found.append(each)
                logger.warning("found", extra={"finding": each.finding, "about": each.about, "job_id": each.job_id})
        except Exception:
            self.failed += 1
            logger.exception("not looked at", extra={"about": about})


def _endpoints(webhooks: WebhookStore, customer_id: str) -> tuple[Endpoint, ...]:
    return webhooks.endpoints(customer_id, limit=MAX_ENDPOINTS, key=None).items
