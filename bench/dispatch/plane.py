"""The control plane in one process: the real services over memory, and what AWS does between them."""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from bench.dispatch.executions import StateMachine
from bench.dispatch.node import Node
from bench.simulate.filters import passes
from bench.simulate.streams import Change, Partitions, Rows
from gpupool import bootstrap
from gpupool.clock import SystemClock
from gpupool.jobs.model import Job
from gpupool.settings import Settings
from gpupool.twins import MemoryPorts
from gpupool.wire.units import Doorway
from gpupool.world import World

T = TypeVar("T")


class ControlPlane:
    """Everything that is deployed. Streams and executions move when ``settle`` is called, one thing after the other.

    Whatever would be one invocation of a function goes through ``call``, for subclasses to look at.
    """

    def __init__(self, settings: Settings) -> None:
        self.stream: deque[Change] = deque()
        world = World(jobs=Rows(self.stream.append), units=Partitions(self.stream.append))
        self.ports = MemoryPorts(clock=SystemClock(), world=world, settings=settings)
        self.customer = bootstrap.build_customer_core(self.ports)
        self.machine = StateMachine(self.ports.executions, bootstrap.build_workflow(self.ports))
        self._node = Node(self.ports, put=self.ports.objects.put)
        self._outbox = bootstrap.build_outbox(self.ports)

    def settle(self) -> None:
        """Delivers what was written and steps the executions until both wait for a machine."""
        while True:
            while self.stream:
                self._deliver(self.stream.popleft())
            execution = self.machine.next_step()
            if execution is None:
                return
            self.call(execution.at, partial(self.machine.step, execution))

    def work(self) -> bool:
        """One lifecycle: a machine answers the next bell and completes its unit, and all follows from that. False when no
        bell rings."""
        heard = self._hear()
        if heard is None:
            return False
        held = self.call("claim", partial(self._node.claim, *heard))
        self.settle()
        more = held.more_needs
        while more is not None:
            more = self.call("inputs", partial(self._node.more_needs, held, more))
        self.call("heartbeat", partial(self._node.heartbeat, held))
        self._node.upload(held)
        self.call("complete", partial(self._node.complete, held))
        self.settle()
        return True

    def call(self, _function: str, act: Callable[[], T]) -> T:
        return act()

    def _hear(self) -> tuple[str, Doorway] | None:
        """The unit of the next bell, and the way that the bell came."""
        for url in sorted(self._node.worker.queue_urls):
            found = self.ports.queue.receive(url)
            if found is not None:
                return found.bell.unit_id, found.doorway
        return None

    def _deliver(self, change: Change) -> None:
        before, after = change.before, change.after
        if not passes(before, after):
            return
        if isinstance(after, Job):
            self.call("job_written", partial(self._outbox.job_written, before, after))
        else:
            self.call("unit_written", partial(self._outbox.unit_written, before, after))
