"""The whole platform in memory, and a small deterministic driver that plays what AWS and home machines do around it:
streams (at least once, in order per row), executions, and nodes that do as a test says."""

from typing import Any

from bench.simulate import machines
from bench.simulate.books import check_books
from bench.simulate.executions import At, Execution
from bench.simulate.filters import passes, what_follows
from bench.simulate.machines import lease_of, model_file
from bench.simulate.streams import Change, Partitions, Rows, Stream
from gpupool import bootstrap
from gpupool.clock import FixedClock
from gpupool.events.model import Event
from gpupool.jobs.model import Job
from gpupool.ledger.model import EntryKind, Transfer, grant
from gpupool.nodes.model import Tier
from gpupool.settings import Settings
from gpupool.twins import MemoryPorts
from gpupool.units.model import Unit
from gpupool.world import World
from tests.factories import CUSTOMER_ID, SINGLE, a_package, a_request, an_upload
from tests.support.nodes import some_capabilities

__all__ = ["LEASE_SECONDS", "At", "Execution", "Machine", "Platform", "lease_of", "model_file"]

LEASE_SECONDS = 60


class Platform:
    """Everything that is deployed, in one process. Nothing happens by itself: a test delivers, steps and settles."""

    def __init__(self, *, credits: int = 1_000, package: str | None = SINGLE, settings: Settings | None = None) -> None:
        self.clock = FixedClock()
        self.stream = Stream()
        world = World(jobs=Rows(self.stream.written), units=Partitions(self.stream.written))
        self.ports = MemoryPorts(clock=self.clock, world=world, settings=settings)
        self.customer = bootstrap.build_customer_core(self.ports)
        self.node = bootstrap.build_node_core(self.ports)
        self.workflow = bootstrap.build_workflow(self.ports)
        self.outbox = bootstrap.build_outbox(self.ports)
        self.dead_letters = bootstrap.build_dead_letters(self.ports)
        self.executions: dict[str, Execution] = {}
        self.received: list[Change] = []
        self.give(credits)
        self.ports.uploads.add(an_upload())
        self.ports.uploads.add(a_package(package))

    # What a customer does.

    def give(self, credits: int) -> None:
        if credits:
            count = len(self.entries)
            self.ports.ledger.post(grant(customer_id=CUSTOMER_ID, grant_id=f"g-{count}", amount=credits, at=self.clock.now()))

    def submit(self, *, key: str | None = None, **changes: Any) -> Job:
        return self.customer.jobs.submit(CUSTOMER_ID, a_request(**changes), idempotency_key=key).job

    def cancel(self, job: Job) -> None:
        self.customer.jobs.cancel(CUSTOMER_ID, job.id)

    # What AWS does.

    def deliver(self, row: str) -> None:
        """The next stream record of one row."""
        self.receive(self.stream.take(row))

    def receive(self, change: Change) -> None:
        """What the stream functions do with a record, be it for the first or the tenth time; most records reach none."""
        if not passes(change.before, change.after):
            return
        self.received.append(change)
        what_follows(self.outbox, change)()
        self.wake()

    def wake(self) -> None:
        """Hands over what was asked of the executions."""
        for name, (job_id, generation) in self.ports.executions.started.items():
            self.executions.setdefault(name, Execution(job_id, generation, self.workflow))
        while self.ports.executions.resumed:
            token, outcome = self.ports.executions.resumed.popleft()
            self.executions[token.rpartition("/")[0]].answer(token, outcome)

    def step(self, execution: Execution) -> None:
        execution.step()
        self.wake()

    def settle(self) -> None:
        """Delivers and steps until nothing moves any more without a machine."""
        while True:
            steppable = [execution for execution in self.executions.values() if execution.can_step]
            if self.stream.rows:
                self.deliver(self.stream.rows[0])
            elif steppable:
                self.step(steppable[0])
            else:
                return

    def tick(self, seconds: float) -> None:
        self.clock.advance(seconds)

    # What one can see.

    def job(self, job: Job) -> Job:
        found = self.ports.jobs.get(job.id)
        assert found is not None
        return found

    def units(self, job: Job) -> tuple[Unit, ...]:
        return self.ports.units.all_of(job.id)

    def unit(self, unit_id: str) -> Unit:
        found = self.ports.units.get(unit_id)
        assert found is not None
        return found

    def events(self, job: Job) -> list[Event]:
        """A job's timeline, oldest first."""
        return list(self.ports.events.page(job.id, limit=10_000, key=None).items)

    @property
    def entries(self) -> list[Transfer]:
        return list(self.ports.world.transfers.get(CUSTOMER_ID, {}).values())

    def posted(self, kind: EntryKind) -> list[Transfer]:
        return [entry for entry in self.entries if entry.kind is kind]

    def bells(self) -> int:
        """Messages in all queues, hidden ones included."""
        return sum(self.ports.queue.waiting(url) for url in self.ports.queue_urls.by_name.values())

    def check_books(self) -> None:
        """The money adds up, per account and per job, whatever has happened so far."""
        check_books(self.ports.world)


class Machine(machines.Machine):
    """A machine that has paired with a platform."""

    def __init__(
        self, platform: Platform, *, tier: Tier = Tier.COMMUNITY, vram_mb: int = 0, disk_free_mb: int = 50_000
    ) -> None:
        self._platform = platform
        ports = platform.ports
        capabilities = some_capabilities(vram_mb=vram_mb, disk_free_mb=disk_free_mb)
        super().__init__(platform.node, ports.queue, ports.objects, tier=tier, capabilities=capabilities)

    def work_off(self) -> int:
        """Completes everything that rings, and what comes of it; how many units that were."""
        done = 0
        self._platform.settle()
        while (bell := self.receive()) is not None:
            self.complete(self.claim(bell))
            self._platform.settle()
            done += 1
        return done
