"""Webhooks in memory: events go in, a receiver answers, and time passes as a test says."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from standardwebhooks.webhooks import Webhook

from gpupool import bootstrap
from gpupool.clock import FixedClock
from gpupool.events.model import Event, EventType
from gpupool.twins import MemoryPorts
from gpupool.webhooks.memory import Sent
from gpupool.webhooks.model import Delivery, Endpoint
from gpupool.webhooks.queue import AttemptRef
from gpupool.webhooks.sender import Outcome

SWEEP_SECONDS = 300
# A message whose function died is seen again after so long, and not more often than that.
VISIBLE_AGAIN_SECONDS, MAX_RECEIVES = 360, 5
START = datetime.fromisoformat("2026-01-01T00:00:00+00:00")


class Died(Exception):
    """The function was stopped in the middle of an attempt."""


@dataclass
class Hooks:
    """``seen`` is what the receiver got: when, under which id, and what it answered."""

    answer: Callable[[datetime], int] = lambda _at: 200
    # What the network does to messages before they are taken: [] loses one, two of it doubles it.
    mangle: Callable[[AttemptRef], list[AttemptRef]] = lambda ref: [ref]
    seen: dict[str, list[tuple[datetime, int]]] = field(default_factory=lambda: defaultdict(list))
    deaths: Counter[AttemptRef] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.clock = FixedClock(START)
        self.ports = MemoryPorts(clock=self.clock)
        self.service = bootstrap.build_webhooks(self.ports)
        self.fan_out = bootstrap.build_fan_out(self.ports)
        self.deliverer = bootstrap.build_deliverer(self.ports)
        self.sweep = bootstrap.build_sweep(self.ports)
        self.ports.sender.answer = self._receive
        self.next_sweep = START

    def endpoint(self, number: int = 0, *, customer: str = "ada", events: frozenset[EventType] | None = None) -> Endpoint:
        wanted = events or frozenset({EventType.JOB_COMPLETED, EventType.JOB_FAILED})
        url = f"https://receiver-{number}.example/hook"
        return self.service.create(customer, url=url, events=wanted, description="", idempotency_key=None).endpoint

    def event(self, number: int, *, kind: EventType = EventType.JOB_COMPLETED, customer: str = "ada") -> Event:
        return Event(f"job-{number}#{kind}", customer, f"job-{number}", kind, self.clock.now(), {"name": f"job {number}"})

    def log(self, endpoint: Endpoint) -> list[Delivery]:
        """Every delivery of the endpoint, oldest first."""
        return sorted(self.ports.world.deliveries.get(endpoint.id, {}).values(), key=lambda each: each.sequence)

    def run(self, hours: float) -> None:
        """Lets time pass: messages are taken when they are seen, the sweep runs every five minutes."""
        until = self.clock.now() + timedelta(hours=hours)
        while True:
            self.work()
            queue = self.ports.webhook_queue.messages
            following = min([self.next_sweep, *(seen_from for seen_from, _ in queue)])
            if following > until:
                break
            self.clock.advance(max(0.0, (following - self.clock.now()).total_seconds()))
            if self.next_sweep <= self.clock.now():
                self.sweep.run(horizon_seconds=SWEEP_SECONDS, limit=10_000)
                self.next_sweep += timedelta(seconds=SWEEP_SECONDS)
        self.clock.advance((until - self.clock.now()).total_seconds())

    def work(self) -> None:
        """Takes every message that can be seen now."""
        while (ref := self.ports.webhook_queue.take()) is not None:
            for copy in self.mangle(ref):
                try:
                    self.deliverer.deliver(copy)
                except Died:
                    self.deaths[copy] += 1
                    if self.deaths[copy] < MAX_RECEIVES:
                        self.ports.webhook_queue.ring(copy, delay_seconds=VISIBLE_AGAIN_SECONDS)

    def _receive(self, sent: Sent) -> Outcome:
        now = self.clock.now()
        self._verify(sent)
        status = self.answer(now)
        self.seen[sent.headers["webhook-id"]].append((now, status))
        return Outcome(5, status_code=status)

    def _verify(self, sent: Sent) -> None:
        """As a receiver does; the library compares the timestamp with a clock of its own, so that is checked here."""
        owner = next(
            endpoint for shelf in self.ports.world.webhooks.values() for endpoint in shelf.values() if endpoint.url == sent.url
        )
        receiver = Webhook(owner.secret)
        at = datetime.fromtimestamp(int(sent.headers["webhook-timestamp"]), START.tzinfo)
        assert at == self.clock.now().replace(microsecond=0)
        expected = receiver.sign(sent.headers["webhook-id"], at, sent.body)
        assert expected in sent.headers["webhook-signature"].split(" ")
