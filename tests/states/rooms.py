"""The rooms that decide about units and jobs, over tables in memory that hold one small state at a time."""

from collections.abc import Callable, Iterable
from typing import Any

from gpupool.clock import FixedClock
from gpupool.dispatch.memory import MemoryQueue, Received
from gpupool.dispatch.model import QueueUrls
from gpupool.errors import Conflict, ValidationFailed
from gpupool.jobs.memory import MemoryJobStore
from gpupool.jobs.model import Job
from gpupool.ledger.memory import MemoryLedgerStore
from gpupool.ledger.model import EntryKind, Transfer, hold
from gpupool.objects.memory import MemoryObjectStore
from gpupool.transitions.memory import MemoryTransitions
from gpupool.units.cadence import Cadence
from gpupool.units.inputs import Inputs
from gpupool.units.memory import MemoryUnitStore
from gpupool.units.model import Unit, Worker
from gpupool.uploads.memory import MemoryUploadStore
from gpupool.uploads.model import UploadKind
from gpupool.wire.joining import Doorbell
from gpupool.workflow.memory import MemoryExecutions
from gpupool.workflow.settle import Settlement
from gpupool.workflow.tending import Tending
from gpupool.world import World
from tests.factories import NOW, a_grant, a_job, an_upload

OWN, OTHER, FOREIGN = "memory://public-cpu", "memory://controlled-cpu", "memory://public-gpu-24g"
URLS = QueueUrls({"public-cpu": OWN, "controlled-cpu": OTHER, "public-gpu-24g": FOREIGN})
# Heartbeats after 20 seconds, then ever more rarely up to 300; the first lease lasts 60.
CADENCE = Cadence(20, 300, 60)
ME, SOMEBODY = "node-1", "node-2"
WORKER = Worker(ME, "node-0001", vram_mb=8_000, disk_free_mb=50_000, queue_urls=frozenset({OWN, OTHER}))


class Tables:
    """One state: a job, units and a bell that was just heard."""

    def __init__(self, units: Iterable[Unit] = (), *, job: Job | None = None) -> None:
        self.clock = FixedClock(NOW)
        self.world = World()
        self.job = job or a_job()
        self.world.jobs[self.job.id] = self.job
        self.world.units[self.job.id] = {unit.id: unit for unit in units}
        self.units = MemoryUnitStore(self.world)
        self.jobs = MemoryJobStore(self.world)
        self.queue = MemoryQueue(urls=URLS, clock=self.clock)
        self.objects = MemoryObjectStore()
        self.ledger = MemoryLedgerStore(self.world)
        self.transitions = MemoryTransitions(self.world, self.clock)
        self.executions = MemoryExecutions()
        self.inputs = Inputs(units=self.units, jobs=self.jobs, objects=self.objects)

    def hold(self) -> None:
        """What the job may cost is held, and its uploads are in use, as submit leaves them."""
        job = self.job
        self.ledger.post(a_grant(amount=job.quote.credits))
        self.ledger.post(hold(customer_id=job.customer_id, job_id=job.id, amount=job.quote.credits, at=NOW))
        for source, kind in ((job.dataset, UploadKind.DATASET), (job.package, UploadKind.TRAINING_PACKAGE)):
            MemoryUploadStore(self.world).add(an_upload(id=source.id, kind=kind, live_jobs=frozenset({job.id})))

    def entries(self, kind: EntryKind) -> list[Transfer]:
        return [entry for entry in self.world.transfers.get(self.job.customer_id, {}).values() if entry.kind is kind]

    @property
    def settlement(self) -> Settlement:
        return Settlement(transitions=self.transitions, units=self.units, clock=self.clock)

    def tending(self, *, released: int) -> Tending:
        return Tending(
            jobs=self.jobs,
            units=self.units,
            settlement=self.settlement,
            executions=self.executions,
            clock=self.clock,
            released=released,
        )

    def ring(self, unit_id: str, *, at: str = OWN) -> Received:
        """A bell of the unit, heard this moment."""
        self.queue.ring(at, Doorbell(job_id=self.job.id, unit_id=unit_id, attempt=0), group="somebody")
        heard = self.queue.receive(at)
        assert heard is not None
        return heard

    def heard_in(self, queue_url: str) -> float | None:
        """Seconds until the only bell of a queue is heard again; None when it is gone."""
        seen_at = self.queue.next_visible_at(queue_url)
        return None if seen_at is None else (seen_at - self.clock.now()).total_seconds()


class Crossing:
    """A table of units in which somebody else writes between a read and the write that follows from it, once."""

    def __init__(self, units: MemoryUnitStore, meanwhile: Callable[[], object]) -> None:
        self._units = units
        self._meanwhile: Callable[[], object] | None = meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._units, name)

    def replace(self, unit: Unit) -> Unit:
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return self._units.replace(unit)


def answer_of(act: Callable[[], Any]) -> Any:
    """What a call answers, or the code of its refusal."""
    try:
        return act()
    except (Conflict, ValidationFailed) as refused:
        return str(refused.code)
