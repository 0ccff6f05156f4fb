"""The whole platform in memory, and a small deterministic driver that plays what AWS and home machines do around it:
streams (at least once, in order per row), executions, and nodes that do as a test says."""

import hashlib
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from gpupool import bootstrap
from gpupool.clock import FixedClock
from gpupool.dispatch.memory import Received
from gpupool.events.model import Event
from gpupool.jobs.model import Job
from gpupool.ledger.model import EntryKind, Transfer, grant
from gpupool.nodes.model import Tier
from gpupool.settings import Settings
from gpupool.twins import MemoryPorts
from gpupool.units.model import Unit, UnitStatus, Worker
from gpupool.uploads.model import UploadKind
from gpupool.wire.failures import FailureCode
from gpupool.wire.joining import PairRequest
from gpupool.wire.units import (
    CompleteRequest,
    FailRequest,
    HeartbeatRequest,
    HeartbeatResponse,
    Lease,
    OutputFile,
    OutputsRequest,
    Progress,
    ReportResponse,
    RunningUnit,
    UnitGrant,
)
from gpupool.wire.vocabulary import ArtifactKind, UnitRole
from gpupool.workflow.executions import execution_name
from gpupool.workflow.model import Outcome, Step
from gpupool.workflow.service import START, TrainingWorkflow
from gpupool.world import World
from tests.factories import CUSTOMER_ID, SINGLE, a_package, a_request, an_upload
from tests.support.filters import passes
from tests.support.nodes import some_capabilities

LEASE_SECONDS = 60
Row = Job | Unit


@dataclass(frozen=True)
class Change:
    """One stream record: a row before (None when it is new) and after a write."""

    before: Any
    after: Any


class Rows(dict[str, Any]):
    """Rows of a table that has a stream."""

    def __init__(self, written: Callable[[Change], None]) -> None:
        super().__init__()
        self._written = written

    def __setitem__(self, key: str, row: Any) -> None:
        before = self.get(key)
        super().__setitem__(key, row)
        self._written(Change(before, row))

    def setdefault(self, key: str, row: Any = None) -> Any:
        if key not in self:
            self[key] = row
        return self[key]


class Partitions(dict[str, dict[str, Any]]):
    """Partitions of rows, each made when it is first written to."""

    def __init__(self, written: Callable[[Change], None]) -> None:
        super().__init__()
        self._written = written

    def setdefault(self, key: str, default: dict[str, Any] | None = None) -> dict[str, Any]:
        return super().setdefault(key, Rows(self._written))


class Stream:
    """What was written and not delivered yet, in order per row; and what was delivered, which may come again."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Change]] = defaultdict(deque)
        self.delivered: list[Change] = []

    def written(self, change: Change) -> None:
        self._waiting[change.after.id].append(change)

    @property
    def rows(self) -> list[str]:
        """Rows with something to deliver."""
        return sorted(row for row, changes in self._waiting.items() if changes)

    def pending(self, row: str) -> list[Change]:
        """What was written to one row and not delivered yet."""
        return list(self._waiting[row])

    def take(self, row: str) -> Change:
        change = self._waiting[row].popleft()
        self.delivered.append(change)
        return change


class At(StrEnum):
    """Where an execution stands in the state machine."""

    PLAN = "plan"
    TEND = "tend"
    ADVANCE = "advance"
    WAITING = "waiting"
    CLOSE = "close"
    ENDED = "ended"


_NEXT = {
    Outcome.PLAN: At.PLAN,
    Outcome.TEND: At.TEND,
    Outcome.ADVANCE: At.ADVANCE,
    Outcome.RENEWED: At.ENDED,
    Outcome.CLOSED: At.ENDED,
}


class Execution:
    """One run of the state machine: Plan and Tend page by page, wait in Advance, close page by page."""

    def __init__(self, job_id: str, generation: int, workflow: TrainingWorkflow) -> None:
        self.job_id = job_id
        self.generation = generation
        self.name = execution_name(job_id, generation)
        self.at = At.PLAN
        self.tokens: list[str] = []
        self.state = START
        self.outcome = Outcome.ADVANCE
        self.workflow = workflow

    @property
    def can_step(self) -> bool:
        return self.at not in (At.WAITING, At.ENDED)

    def step(self) -> None:
        if self.at is At.PLAN:
            self._go(self.workflow.plan(self.job_id, self.state))
        elif self.at is At.TEND:
            self._go(self.workflow.tend(self.job_id, self.state))
        elif self.at is At.ADVANCE:
            self.tokens.append(f"{self.name}/{len(self.tokens)}")
            self.at = At.WAITING
            self.workflow.advance(self.job_id, self.tokens[-1], entered=f"{self.generation:05d}{len(self.tokens):05d}")
        elif self.at is At.CLOSE:
            self._go(self.workflow.close(self.job_id, self.outcome, self.state))

    def answer(self, token: str, outcome: Outcome) -> None:
        """SendTaskSuccess: a token that nobody waits with is ignored."""
        if self.at is At.WAITING and token == self.tokens[-1]:
            self._go(replace(self.state, outcome=outcome))

    def time_out(self) -> None:
        """The wait's own timeout: go over the units, then wait with a fresh token."""
        if self.at is At.WAITING:
            self.at = At.TEND

    def fail(self) -> None:
        """A step that failed for good: on to Compensate."""
        self._go(Step(Outcome.FAILED))

    def _go(self, step: Step) -> None:
        self.state = step
        if step.outcome in _NEXT:
            self.at = _NEXT[step.outcome]
            return
        if step.outcome is not Outcome.CLOSING:
            self.outcome, self.state = step.outcome, Step(Outcome.CLOSING)
        self.at = At.CLOSE


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
        if isinstance(change.after, Job):
            self.outbox.job_written(change.before, change.after)
        else:
            self.outbox.unit_written(change.before, change.after)
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
        balance = self.ports.ledger.balance(CUSTOMER_ID)
        sums = {kind: sum(entry.amount for entry in self.posted(kind)) for kind in EntryKind}
        assert balance.available + balance.held + balance.spent == balance.granted == sums[EntryKind.GRANT]
        assert balance.held == sums[EntryKind.HOLD] - sums[EntryKind.DEBIT] - sums[EntryKind.RELEASE]
        assert balance.spent == sums[EntryKind.DEBIT]
        assert min(balance.available, balance.held, balance.spent) >= 0
        for job in self.ports.world.jobs.values():
            self._check_job(job)

    def _check_job(self, job: Job) -> None:
        mine = [entry for entry in self.entries if entry.job_id == job.id]
        debits = {entry.unit_id: entry.amount for entry in mine if entry.kind is EntryKind.DEBIT}
        completed = {unit.id: unit.credits for unit in self.units(job) if unit.status is UnitStatus.COMPLETED}
        released = sum(entry.amount for entry in mine if entry.kind is EntryKind.RELEASE)
        assert [entry.amount for entry in mine if entry.kind is EntryKind.HOLD] == [job.quote.credits]
        assert debits.items() <= completed.items()
        assert (job.units_completed, job.credits_spent) == (len(debits), sum(debits.values()))
        if job.is_live:
            assert released == 0
            return
        assert debits == completed
        assert released == job.quote.credits - job.credits_spent
        assert all(unit.is_final for unit in self.units(job))
        for kind, upload_id in ((UploadKind.DATASET, job.dataset.id), (UploadKind.TRAINING_PACKAGE, job.package.id)):
            upload = self.ports.uploads.get(job.customer_id, kind, upload_id)
            assert upload is not None
            assert job.id not in upload.live_jobs


class Machine:
    """A paired node that does what it is told; its calls are those of the node door."""

    def __init__(
        self, platform: Platform, *, tier: Tier = Tier.COMMUNITY, vram_mb: int = 0, disk_free_mb: int = 50_000
    ) -> None:
        self._platform = platform
        core = platform.node
        capabilities = some_capabilities(vram_mb=vram_mb, disk_free_mb=disk_free_mb)
        code = core.pairing.create_code(tier)
        paired = core.pairing.redeem(PairRequest(code=code, name="a machine", capabilities=capabilities))
        node = core.nodes.authenticate(f"Bearer {paired.device_key}")
        self.worker: Worker = core.nodes.worker(node)
        self._leases = core.leases

    def receive(self) -> Received | None:
        """One message from the queues it may receive from."""
        found = (self._platform.ports.queue.receive(url) for url in sorted(self.worker.queue_urls))
        return next((message for message in found if message is not None), None)

    def claim(self, bell: Received) -> UnitGrant:
        return self._leases.claim(self.worker, bell.bell.unit_id, bell.doorway)

    def take(self) -> UnitGrant:
        """The next unit that rings for it."""
        bell = self.receive()
        assert bell is not None, "no bell rings"
        return self.claim(bell)

    def heartbeat(
        self, *grants: UnitGrant, fraction: float | None = None, stage: str = "running", **metrics: float
    ) -> HeartbeatResponse:
        progress = Progress(fraction=fraction, stage=stage, metrics=metrics)
        running = [RunningUnit(unit_id=each.unit_id, lease=lease_of(each), progress=progress) for each in grants]
        return self._leases.heartbeat(self.worker, HeartbeatRequest(units=running))

    def upload(self, grant: UnitGrant, body: bytes, *, name: str = "model.tar.gz") -> OutputFile:
        file = model_file(body, name=name)
        request = OutputsRequest(lease=lease_of(grant), files=[file])
        signed = self._leases.outputs(self.worker, grant.unit_id, request).uploads[name]
        self._platform.ports.objects.put(signed.url.removeprefix("memory://").partition("?")[0], body)
        return file

    def complete(
        self, grant: UnitGrant, *, runtime_seconds: float = 1, outputs: tuple[OutputFile, ...] | None = None
    ) -> ReportResponse:
        """Reports success; by default with a model where the unit's role asks for one."""
        files = self._model(grant) if outputs is None else outputs
        request = CompleteRequest(lease=lease_of(grant), outputs=list(files), runtime_seconds=runtime_seconds)
        return self._leases.complete(self.worker, grant.unit_id, request)

    def fail(self, grant: UnitGrant, code: FailureCode, *, message: str = "It broke.") -> ReportResponse:
        request = FailRequest(lease=lease_of(grant), code=code, message=message)
        return self._leases.fail(self.worker, grant.unit_id, request)

    def _model(self, grant: UnitGrant) -> tuple[OutputFile, ...]:
        """A model that lies where an upload would have put it, also for who may not upload any more."""
        if grant.role not in (UnitRole.TRAIN, UnitRole.PACKAGE, UnitRole.SELECT):
            return ()
        body = b"a model"
        file = model_file(body)
        self._platform.ports.objects.put(f"jobs/{grant.job_id}/{grant.unit_id}/{grant.attempt}/{file.name}", body)
        return (file,)

    def work_off(self) -> int:
        """Completes everything that rings, and what comes of it; how many units that were."""
        done = 0
        self._platform.settle()
        while (bell := self.receive()) is not None:
            self.complete(self.claim(bell))
            self._platform.settle()
            done += 1
        return done


def model_file(body: bytes, *, name: str = "model.tar.gz") -> OutputFile:
    """A model as a report declares it."""
    return OutputFile(name=name, kind=ArtifactKind.MODEL, size_bytes=len(body), sha256=hashlib.sha256(body).hexdigest())


def lease_of(grant: UnitGrant) -> Lease:
    return Lease(attempt=grant.attempt, lease_token=grant.lease_token)
