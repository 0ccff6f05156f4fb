"""Tables in memory that hold one small state at a time, and the rooms that decide over them."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from gpupool.clock import FixedClock
from gpupool.dispatch.memory import MemoryQueue, Received
from gpupool.dispatch.model import QueueUrls
from gpupool.errors import Conflict, ValidationFailed
from gpupool.jobs.memory import MemoryJobStore
from gpupool.jobs.model import Job
from gpupool.ledger.memory import MemoryLedgerStore
from gpupool.ledger.model import EntryKind, Transfer, hold
from gpupool.limits.memory import MemoryLimitStore
from gpupool.objects.memory import MemoryObjectStore
from gpupool.transitions.memory import MemoryTransitions
from gpupool.units.cadence import Cadence
from gpupool.units.inputs import Inputs
from gpupool.units.memory import MemoryUnitStore
from gpupool.units.model import Failure, NodeFault, Unit, UnitStatus, Worker
from gpupool.uploads.memory import MemoryUploadStore
from gpupool.uploads.model import UploadKind
from gpupool.wire.failures import Blame, FailureCode
from gpupool.wire.joining import Doorbell
from gpupool.wire.units import Doorway
from gpupool.workflow.memory import MemoryExecutions
from gpupool.workflow.settle import Settlement
from gpupool.workflow.tending import Tending
from gpupool.world import World
from tests.factories import NOW, a_grant, a_job, a_unit, an_admission, an_upload

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
# The queues: of the units here, of controlled ones, and one that the machine does not serve.
OWN, OTHER, FOREIGN = "memory://public-cpu", "memory://controlled-cpu", "memory://public-gpu-24g"
URLS = QueueUrls({"public-cpu": OWN, "controlled-cpu": OTHER, "public-gpu-24g": FOREIGN})
# The receipt that the first bell of a queue in memory is heard by, and for how long it is silent when nobody answers it.
HEARD, VISIBILITY_SECONDS = "receipt-1", 30
BELL = Doorway(queue_url=OWN, receipt_handle=HEARD)
# Heartbeats after 20 seconds, then ever more rarely up to 300; the first lease lasts 60.
CADENCE = Cadence(20, 300, 60)
ME, SOMEBODY = "node-1", "node-2"
WORKER = Worker(ME, "node-0001", vram_mb=8_000, disk_free_mb=50_000, queue_urls=frozenset({OWN, OTHER}))
FAILED = Failure(FailureCode.SCRIPT_FAILED, Blame.USER, "no")
FINAL = (UnitStatus.COMPLETED, UnitStatus.FAILED, UnitStatus.REJECTED, UnitStatus.CANCELLED)
BROKEN = (UnitStatus.FAILED, UnitStatus.REJECTED)
# Up to eight needs a unit keeps itself, of more it keeps gates. Of up to 25 dependents each is told of a unit's end.
FEW_NEEDS, MANY_NEEDS = tuple(range(8)), tuple(range(9))
MANY_DEPENDENTS = tuple(range(1, 27))


class Tables:
    """One state: a job, its units, and bells that were just heard."""

    def __init__(self, units: Iterable[Unit] = (), *, job: Job | None = None) -> None:
        self.clock = FixedClock(NOW)
        self.world = World()
        job = job or a_job()
        self.job_id = job.id
        self.world.jobs[job.id] = job
        self.world.units[job.id] = {unit.id: unit for unit in units}
        self.units = MemoryUnitStore(self.world)
        self.jobs = MemoryJobStore(self.world)
        self.queue = MemoryQueue(urls=URLS, clock=self.clock)
        self.objects = MemoryObjectStore()
        self.ledger = MemoryLedgerStore(self.world)
        self.limits = MemoryLimitStore(self.world, self.clock)
        self.transitions = MemoryTransitions(self.world, self.clock)
        self.executions = MemoryExecutions()
        self.inputs = Inputs(units=self.units, jobs=self.jobs, objects=self.objects)

    @property
    def job(self) -> Job:
        """The job's row as it is now."""
        return self.world.jobs[self.job_id]

    def change_job(self, **changes: Any) -> None:
        self.world.jobs[self.job_id] = replace(self.job, **changes)

    def unit(self, index: int = 0) -> Unit:
        """A unit's row as it is now."""
        return self.world.units[self.job_id][a_unit(index).id]

    def all_units(self) -> tuple[Unit, ...]:
        return self.units.all_of(self.job_id)

    def hold(self) -> None:
        """What the job may cost is held, it counts as live, and its uploads are in use: as submit leaves them."""
        job = self.job
        self.ledger.post(a_grant(amount=job.quote.credits))
        self.ledger.post(hold(customer_id=job.customer_id, job_id=job.id, amount=job.quote.credits, at=NOW))
        self.limits.admit(an_admission(self.limits, job))
        for source, kind in ((job.dataset, UploadKind.DATASET), (job.package, UploadKind.TRAINING_PACKAGE)):
            MemoryUploadStore(self.world).add(an_upload(id=source.id, kind=kind, live_jobs=frozenset({job.id})))

    def entries(self, kind: EntryKind) -> list[Transfer]:
        return [entry for entry in self.world.transfers.get(self.job.customer_id, {}).values() if entry.kind is kind]

    @property
    def settlement(self) -> Settlement:
        return Settlement(jobs=self.jobs, transitions=self.transitions, units=self.units, clock=self.clock)

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
        self.queue.ring(at, Doorbell(job_id=self.job_id, unit_id=unit_id, attempt=0), group="somebody")
        heard = self.queue.receive(at)
        assert heard is not None
        return heard

    def seconds_until_heard(self, queue_url: str) -> float | None:
        """Until the only bell of a queue is heard again; None when it is gone."""
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


def mark(doorway: Doorway) -> str:
    """As rows have it since the first deployment: another one would refuse repeated claims while an update rolls out."""
    return sha256(f"{doorway.queue_url}\n{doorway.receipt_handle}".encode()).hexdigest()[:16]


def ago(age: timedelta | None) -> datetime | None:
    return None if age is None else NOW - age


def waiting(index: int, open_needs: frozenset[int] = frozenset(), **changes: Any) -> Unit:
    """A unit that still waits for these others."""
    needs = tuple(sorted(open_needs))
    return a_unit(
        index, **({"status": UnitStatus.WAITING, "needs": needs, "open_needs": open_needs, "queued_at": None} | changes)
    )


def faults_after_lapse(unit: Unit) -> tuple[NodeFault, ...]:
    """Who failed the unit, whoever let its last lease lapse included: that one is the latest."""
    lease = unit.lease
    if lease is None:
        return unit.faults
    before = sum(fault.failures for fault in unit.faults if fault.node_id == lease.node_id)
    others = (fault for fault in unit.faults if fault.node_id != lease.node_id)
    return (*others, NodeFault(lease.node_id, before + 1, lease.expires_at))


def lapsed_for_good(unit: Unit) -> Failure:
    """Why a unit fails whose last lease lapsed."""
    message = f"The node stopped reporting on attempt {unit.attempt} of {unit.max_attempts}."
    return Failure(FailureCode.LEASE_EXPIRED, Blame.NODE, message, unit_id=unit.id, attempt=unit.attempt)
