"""Webhooks: the queue of attempts, the sweep, and receivers that fail now and then."""

from functools import partial
from random import Random

from bench.simulate.faults import Faults
from bench.simulate.loop import Loop
from gpupool import bootstrap
from gpupool.twins import MemoryPorts
from gpupool.webhooks.deliverer import Deliverer, Sweep
from gpupool.webhooks.model import Delivery, DeliveryStatus
from gpupool.webhooks.queue import AttemptRef
from gpupool.webhooks.sender import Outcome, SendError
from gpupool.world import World

_HORIZON = 300
_MAX_RECEIVES = 3
_BAD = (
    Outcome(5, status_code=500),
    Outcome(9_000, error=SendError.TIMED_OUT),
    Outcome(5, status_code=429, retry_after_seconds=30),
)


class Postman:
    """The port to the queue of attempts and the port to the receivers."""

    _deliverer: Deliverer
    _sweep: Sweep

    def __init__(self, random: Random, loop: Loop, faults: Faults, world: World) -> None:
        self._random, self._loop, self._faults = random, loop, faults
        self._world = world
        self._sweeping = False
        self.seen: dict[str, int] = {}

    def build(self, ports: MemoryPorts) -> None:
        self._deliverer = bootstrap.build_deliverer(ports)
        self._sweep = bootstrap.build_sweep(ports)

    def ring(self, ref: AttemptRef, *, delay_seconds: int = 0) -> None:
        late = delay_seconds + self._random.uniform(0.05, 1)
        self._loop.after(late, "attempt", ref.delivery_id, partial(self._attempt, ref, 1))
        self._sweep_later(_HORIZON)

    def send(self, _url: str, headers: dict[str, str], _body: str) -> Outcome:
        if self._faults.happens("receiver"):
            return self._random.choice(_BAD)
        self.seen[headers["webhook-id"]] = self.seen.get(headers["webhook-id"], 0) + 1
        return Outcome(5, status_code=200)

    @property
    def pending(self) -> list[Delivery]:
        shelves = self._world.deliveries.values()
        return [each for shelf in shelves for each in shelf.values() if each.status is DeliveryStatus.PENDING]

    def _attempt(self, ref: AttemptRef, receives: int) -> None:
        done, _ = self._faults.run(partial(self._deliverer.deliver, ref))
        if not done and receives < _MAX_RECEIVES:
            self._loop.after(90, "attempt again", ref.delivery_id, partial(self._attempt, ref, receives + 1))

    def _sweep_later(self, seconds: float) -> None:
        if not self._sweeping:
            self._sweeping = True
            self._loop.after(seconds, "sweep", "", self._run_sweep)

    def _run_sweep(self) -> None:
        """As often as the schedule says while anything is pending; the runs that would find nothing due are left out."""
        self._sweeping = False
        self._faults.run(partial(self._sweep.run, horizon_seconds=_HORIZON, limit=2_000))
        due = [each.due_at for each in self.pending if each.due_at is not None]
        if due:
            wait = (min(due) - self._loop.clock.moment).total_seconds() - _HORIZON
            self._sweep_later(max(_HORIZON, wait))
