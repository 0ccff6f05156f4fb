"""The control plane in one process: the real services over memory, and what AWS does between them."""

from collections import deque
from dataclasses import dataclass
from typing import Any

from bench.dispatch.node import Node
from gpupool import bootstrap
from gpupool.clock import SystemClock
from gpupool.jobs.model import Job, JobStatus
from gpupool.settings import Settings
from gpupool.twins import MemoryPorts
from gpupool.units.model import Unit, UnitStatus
from gpupool.workflow.model import Outcome
from gpupool.workflow.service import TrainingWorkflow
from gpupool.world import World

Change = tuple[Any, Any]


class Rows(dict[str, Any]):
    """Rows of a table with a stream, which gets every row before (None when it is new) and after a write."""

    def __init__(self, stream: deque[Change]) -> None:
        super().__init__()
        self._stream = stream

    def __setitem__(self, key: str, row: Any) -> None:
        self._stream.append((self.get(key), row))
        super().__setitem__(key, row)

    def setdefault(self, key: str, row: Any = None) -> Any:
        if key not in self:
            self[key] = row
        return self[key]


class Partitions(dict[str, dict[str, Any]]):
    """The partitions of a table with a stream, each made when it is first written to."""

    def __init__(self, stream: deque[Change]) -> None:
        super().__init__()
        self._stream = stream

    def setdefault(self, key: str, default: dict[str, Any] | None = None) -> dict[str, Any]:
        return super().setdefault(key, default or Rows(self._stream))


@dataclass
class Execution:
    """One run of the state machine; ``steps`` counts the functions that it called."""

    job_id: str
    workflow: TrainingWorkflow
    outcome: Outcome | None = None
    token: str | None = None
    steps: int = 0
    ended: bool = False

    @property
    def can_step(self) -> bool:
        return self.token is None and not self.ended

    def step(self) -> None:
        self.steps += 1
        if self.outcome is None:
            self.outcome = self.workflow.plan(self.job_id)
        elif self.outcome is Outcome.ADVANCE:
            self.token = f"{self.job_id}/{self.steps}"
            self.workflow.advance(self.job_id, self.token, entered=f"{self.steps:09d}")
        else:
            self.workflow.close(self.job_id, self.outcome)
            self.ended = True

    def answer(self, token: str, outcome: Outcome) -> None:
        """A token that the execution does not wait with is ignored."""
        if token == self.token:
            self.token, self.outcome = None, outcome


class ControlPlane:
    """Everything that is deployed. Streams and executions move when ``settle`` is called, one thing after the other."""

    def __init__(self, settings: Settings) -> None:
        self.stream: deque[Change] = deque()
        self.world = World(jobs=Rows(self.stream), units=Partitions(self.stream))
        self.ports = MemoryPorts(clock=SystemClock(), world=self.world, settings=settings)
        self.customer = bootstrap.build_customer_core(self.ports)
        self.node = Node(self.ports)
        self.outbox = bootstrap.build_outbox(self.ports)
        self.workflow = bootstrap.build_workflow(self.ports)
        self.executions: dict[str, Execution] = {}
        self._ready: deque[Execution] = deque()

    def settle(self) -> None:
        """Delivers what was written and steps the executions until both wait for a machine."""
        while self.stream or self._ready:
            while self.stream:
                self._deliver(*self.stream.popleft())
            if self._ready:
                self._step(self._ready.popleft())

    def work(self) -> bool:
        """One lifecycle: a machine answers the next bell and completes its unit, and all follows from that. False when no
        bell rings."""
        held = self.node.take()
        if held is None:
            return False
        self.settle()
        self.node.heartbeat(held)
        self.node.complete(held)
        self.settle()
        return True

    def _deliver(self, before: Any, after: Any) -> None:
        if isinstance(after, Job):
            if _reaches_job_function(before, after):
                self.outbox.job_written(before, after)
        elif _reaches_unit_function(before, after):
            self.outbox.unit_written(before, after)
        self._wake()

    def _step(self, execution: Execution) -> None:
        execution.step()
        if execution.can_step:
            self._ready.append(execution)
        self._wake()

    def _wake(self) -> None:
        asked = self.ports.executions
        while asked.started:
            job_id, _ = asked.started.popitem()
            if job_id not in self.executions:
                self.executions[job_id] = Execution(job_id, self.workflow)
                self._ready.append(self.executions[job_id])
        while asked.resumed:
            token, outcome = asked.resumed.popleft()
            execution = self.executions[token.partition("/")[0]]
            waited = not execution.can_step
            execution.answer(token, outcome)
            if waited and execution.can_step:
                self._ready.append(execution)


def _reaches_job_function(before: Job | None, after: Job) -> bool:
    """As the filters of the stream: the many writes that count and park reach nobody."""
    if before is None or (after.is_live and after.cancel_requested_at is not None):
        return True
    started = (before.status, after.status) == (JobStatus.PLANNING, JobStatus.RUNNING)
    return started or (before.is_live and not after.is_live)


def _reaches_unit_function(before: Unit | None, after: Unit) -> bool:
    """As the filters of the stream: waiting units and heartbeats reach nobody."""
    if after.status is UnitStatus.RUNNING:
        return after.progress_stage == "claimed"
    if after.status is UnitStatus.CANCELLED:
        return before is not None and before.status is UnitStatus.RUNNING
    return after.status is not UnitStatus.WAITING
