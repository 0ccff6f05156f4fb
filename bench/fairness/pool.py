"""A pool of machines of one class over the real dispatch code: the outbox rings, machines claim what they hear, and report."""

from dataclasses import dataclass
from functools import partial
from random import Random

from bench.dispatch.executions import StateMachine
from bench.simulate.filters import passes, what_follows
from bench.simulate.loop import Loop, Trace
from bench.simulate.streams import Change, Partitions, Rows
from bench.uploads import a_ready_upload
from gpupool import bootstrap
from gpupool.dispatch.fairness import Fairness
from gpupool.dispatch.memory import MemoryQueue, Received
from gpupool.errors import Conflict
from gpupool.ids import unit_id
from gpupool.jobs.model import Job, JobStatus, Quote, Sensitivity, Source
from gpupool.ledger.model import grant, hold
from gpupool.settings import Settings
from gpupool.twins import MemoryPorts
from gpupool.units.model import Pool, Unit, UnitStatus, Work, Worker
from gpupool.uploads.model import UploadKind
from gpupool.wire.units import CompleteRequest, Lease, UnitGrant
from gpupool.wire.vocabulary import CapabilityClass, UnitKind, UnitRole
from gpupool.world import World

_SHORTEST, _LONGEST = 480.0, 720.0
# Longer than any unit runs: beats would cost most of the time here, and renewing a lease changes no order.
_LEASE_SECONDS = 3_600
# Between a write and what follows from it, and between two steps of executions.
_STREAM_SECONDS = 0.2
_STEP_SECONDS = 0.1
_CREDITS = 60
# Between a report and the next long poll, and between a message and a waiting poll's answer.
_POLL_SECONDS = 0.5
_SOURCE = Source("source", "data.zip", "application/zip", "key", "ab" * 32, 10)
_WORK = Work(role=UnitRole.PREPARE, kind=UnitKind.CPU, required_vram_mb=0, required_disk_mb=100, max_runtime_seconds=3_600)


@dataclass(frozen=True, slots=True)
class Waited:
    """From a unit's release to its claim, in seconds."""

    customer_id: str
    seconds: float


class MachinePool:
    """``nodes`` machines, each for one unit at a time, of eight to twelve minutes; ``window`` as the setting RELEASE_WINDOW.

    The waits of executions never run out here: with no window, the rounds after them would ring again for the whole flood.
    """

    def __init__(self, seed: int, *, nodes: int, fairness: Fairness | None, window: int) -> None:
        self._random = Random(seed)
        self.loop = Loop(self._random, Trace())
        world = World(jobs=Rows(self._written), units=Partitions(self._written))
        ports = MemoryPorts(clock=self.loop.clock, world=world)
        urls = ports.settings.queue_urls
        ports.settings = Settings(queue_urls=urls, lease_seconds=_LEASE_SECONDS, release_window=window)
        ports.random_hex = lambda count: f"{self._random.getrandbits(8 * count):0{2 * count}x}"
        ports.queue = self._queue = MemoryQueue(urls=ports.queue_urls, clock=self.loop.clock, fairness=fairness)
        self._url = self._queue.queue_url(Pool.PUBLIC, CapabilityClass.CPU)
        self._leases = bootstrap.build_node_core(ports).leases
        self._outbox = bootstrap.build_outbox(ports)
        self._machine = StateMachine(ports.executions, bootstrap.build_workflow(ports))
        self._ports = ports
        self._idle = [_worker(number, self._url) for number in range(nodes)]
        self._looking = self._stepping = False
        self.waited: list[Waited] = []

    def submit(self, job_id: str, customer_id: str, count: int) -> None:
        """A job of ``count`` units that need nothing, planned and paid for in advance; its execution begins."""
        now, ledger, uploads = self.loop.clock.now(), self._ports.ledger, self._ports.uploads
        amount = count * _CREDITS
        ledger.post(grant(customer_id=customer_id, grant_id=job_id, amount=amount, at=now))
        ledger.post(hold(customer_id=customer_id, job_id=job_id, amount=amount, at=now))
        for kind in UploadKind:
            uploads.add(a_ready_upload(kind, _SOURCE.id, customer_id=customer_id, at=now))
        self._ports.world.jobs[job_id] = _job(job_id, customer_id, count, self.loop)
        self._ports.units.add_all(tuple(_unit(job_id, customer_id, number, self.loop) for number in range(count)))
        self._ports.executions.start(job_id)
        self._step_later()

    def play(self, *, claims_of: frozenset[str], count: int, stop_at: float) -> None:
        """Until so many units of these customers were claimed, or the time is up."""
        claimed = 0
        seen = 0
        while claimed < count and self.loop.next_at is not None and self.loop.next_at <= stop_at:
            self.loop.step()
            while seen < len(self.waited):
                claimed += self.waited[seen].customer_id in claims_of
                seen += 1

    def _written(self, change: Change) -> None:
        if passes(change.before, change.after):
            self.loop.after(_STREAM_SECONDS, "record", change.after.id, partial(self._deliver, change))

    def _deliver(self, change: Change) -> None:
        what_follows(self._outbox, change)()
        self._look_later()
        self._step_later()

    def _step_later(self) -> None:
        if not self._stepping:
            self._stepping = True
            self.loop.after(_STEP_SECONDS, "step", "", self._step)

    def _step(self) -> None:
        self._stepping = False
        execution = self._machine.next_step()
        if execution is not None:
            self._machine.step(execution)
            self._step_later()

    def _look_later(self) -> None:
        if not self._looking:
            self._looking = True
            self.loop.after(self._random.uniform(0, _POLL_SECONDS), "look", self._url, self._look)

    def _look(self) -> None:
        """Every waiting poll is answered while there are messages."""
        self._looking = False
        while self._idle:
            bell = self._queue.receive(self._url)
            if bell is None:
                return
            self._claim(self._idle.pop(self._random.randrange(len(self._idle))), bell)

    def _claim(self, worker: Worker, bell: Received) -> None:
        try:
            grant = self._leases.claim(worker, bell.bell.unit_id, bell.doorway)
        except Conflict:
            self._idle.append(worker)
            return
        unit = self._ports.units.get(grant.unit_id)
        if unit is not None and unit.queued_at is not None:
            waited = (self.loop.clock.moment - unit.queued_at).total_seconds()
            self.waited.append(Waited(unit.customer_id, waited))
        runtime = self._random.uniform(_SHORTEST, _LONGEST)
        self.loop.after(runtime, "report", grant.unit_id, partial(self._report, worker, grant, bell, runtime))

    def _report(self, worker: Worker, grant: UnitGrant, bell: Received, runtime: float) -> None:
        lease = Lease(attempt=grant.attempt, lease_token=grant.lease_token)
        report = CompleteRequest(lease=lease, doorway=bell.doorway, outputs=[], runtime_seconds=runtime)
        self._leases.complete(worker, grant.unit_id, report)
        self.loop.after(self._random.uniform(0, _POLL_SECONDS), "poll", worker.node_id, partial(self._poll, worker))

    def _poll(self, worker: Worker) -> None:
        self._idle.append(worker)
        self._look()


def _worker(number: int, url: str) -> Worker:
    return Worker(f"node-{number}", f"node-{number}", vram_mb=0, disk_free_mb=50_000, queue_urls=frozenset({url}))


def _job(job_id: str, customer_id: str, count: int, loop: Loop) -> Job:
    return Job(
        id=job_id,
        customer_id=customer_id,
        name="job",
        status=JobStatus.RUNNING,
        dataset=_SOURCE,
        package=_SOURCE,
        required_vram_mb=0,
        required_disk_mb=100,
        max_runtime_seconds=3_600,
        sensitivity=Sensitivity.PUBLIC,
        quote=Quote(count * _CREDITS),
        units_total=count,
        created_at=loop.clock.now(),
    )


def _unit(job_id: str, customer_id: str, number: int, loop: Loop) -> Unit:
    return Unit(
        id=unit_id(job_id, number),
        job_id=job_id,
        customer_id=customer_id,
        index=number,
        name=f"u{number}",
        status=UnitStatus.WAITING,
        pool=Pool.PUBLIC,
        capability=CapabilityClass.CPU,
        work=_WORK,
        needs=(),
        dependents=(),
        open_needs=frozenset(),
        credits_max=_CREDITS,
        created_at=loop.clock.now(),
    )
