"""Everything that is deployed, in one process, driven by the loop: streams, executions, dead letters, webhooks."""

from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from bench.simulate.doorbells import Doorbells
from bench.simulate.executor import Executor
from bench.simulate.faults import Faults
from bench.simulate.filters import passes, what_follows
from bench.simulate.loop import START, Loop
from bench.simulate.postman import Postman
from bench.simulate.recovering import Recovering
from bench.simulate.streams import Change, Partitions, Rows
from bench.simulate.thrift import check_record
from bench.simulate.watch import Watch
from gpupool import bootstrap
from gpupool.ids import job_of
from gpupool.objects.memory import MemoryObjectStore
from gpupool.settings import Settings
from gpupool.twins import MemoryPorts
from gpupool.wire.joining import Doorbell

_SETTINGS = {"live_jobs": 6, "units_per_day": 1_000_000}
# How many units of a job may be released at a time. The last one is the real one, and more than a job has here.
_WINDOWS = (1, 2, 5, 300)
_MOST_BETWEEN_BEATS = (15, 60, 240)


class Deployment:
    """``queue`` and ``objects`` are what machines reach without us. ``buried``: how many bells became dead letters, by unit;
    ``rung_again``: how often those rang again. ``lost``: ids of rows and events of which a record was given up."""

    def __init__(self, random: Random, loop: Loop, faults: Faults) -> None:
        self._random, self._loop, self._faults = random, loop, faults
        self.watch = Watch(loop.clock)
        self.records: dict[str, deque[tuple[str, Act]]] = {}
        self.buried: Counter[str] = Counter()
        self.rung_again = 0
        self.lost: set[str] = set()
        self.world = self.watch.world
        self.world.jobs = Rows(self._written)
        self.world.units = Partitions(self._written)
        self.world.events = Partitions(self._told)
        ports = MemoryPorts(clock=loop.clock, world=self.world)
        window = random.choice(_WINDOWS)
        ports.settings = Settings(
            queue_urls=ports.settings.queue_urls,
            release_window=window,
            heartbeat_most_seconds=random.choice(_MOST_BETWEEN_BEATS),
            **_SETTINGS,
        )
        self.objects: MemoryObjectStore = ports.objects
        self.queue = Doorbells(ports.queue_urls, random, loop, faults)
        self.executor = Executor(random, loop, faults, self.world)
        self.postman = Postman(random, loop, faults, self.world)
        self._seed_what_is_random(ports)
        self._replace(ports)
        self.ledger = ports.ledger
        faults.guard(ports)
        self.customer = bootstrap.build_customer_core(ports)
        self.node = bootstrap.build_node_core(ports)
        self._outbox = bootstrap.build_outbox(ports)
        self._fan_out = bootstrap.build_fan_out(ports)
        self._dead_letters = bootstrap.build_dead_letters(ports)
        self.executor.workflow = bootstrap.build_workflow(ports)
        self.recovering = Recovering(loop, faults, bootstrap.build_recovery(ports))
        self.postman.build(ports)
        self.ports = ports

    @property
    def is_quiet(self) -> bool:
        """Whether nothing moves any more by itself, webhooks aside."""
        return not (self.records or self.watch.live_jobs or self.executor.running)

    def bury(self, url: str) -> None:
        """Hands the dead letters of a queue to their function."""
        for bell in self.queue.take_dead_letters(url):
            self.buried[bell.unit_id] += 1
            self.queue.buried[url] += 1
            self._loop.after(self._random.uniform(1, 30), "dead letter", bell.unit_id, partial(self._dead_letter, url, bell))

    def _replace(self, ports: MemoryPorts) -> None:
        replaced: dict[str, object] = {
            "queue": self.queue,
            "executions": self.executor,
            "webhook_queue": self.postman,
            "sender": self.postman,
        }
        for name, port in replaced.items():
            setattr(ports, name, port)

    def _seed_what_is_random(self, ports: MemoryPorts) -> None:
        random, loop = self._random, self._loop
        begun = int(START.timestamp() * 1_000)
        made = [0]

        def new_id() -> str:
            made[0] += 1
            digits = f"{begun + int(loop.now * 1_000):012x}7{made[0] % 4096:03x}8{random.getrandbits(60):015x}"
            return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

        ports.new_id = new_id
        ports.random_hex = lambda count: f"{random.getrandbits(8 * count):0{2 * count}x}"
        ports.jitter = random.random

    def _written(self, change: Change) -> None:
        self.watch.written(change, by=self._faults.calling)
        if passes(change.before, change.after):
            self._recorded(change.after.id, change.after.id, partial(self._follow, change))

    def _follow(self, change: Change) -> None:
        act = what_follows(self._outbox, change)
        if not self.watch.is_calm:
            act()
            return
        before, queued = self._faults.calls["jobs.get"], self.watch.rung.copy()
        act()
        released = [unit_id for unit_id, times in self.watch.rung.items() if times > queued[unit_id]]
        units = self.world.units.get(job_of(change.after.id), {})
        check_record(change, units, reads=self._faults.calls["jobs.get"] - before, released=released)

    def _told(self, change: Change) -> None:
        if passes(change.before, change.after):
            event = change.after
            self._recorded(f"events of {event.job_id}", event.id, partial(self._fan_out.publish, event))

    def _recorded(self, row: str, about: str, act: "Act") -> None:
        waiting = self.records.get(row)
        if waiting is not None:
            waiting.append((about, act))
            return
        self.records[row] = deque(((about, act),))
        self._deliver_later(row)

    def _deliver_later(self, row: str) -> None:
        slow = self._faults.happens("record_slow")
        self._loop.after(
            self._random.uniform(5, 200) if slow else self._random.uniform(0.05, 0.5),
            "record",
            row,
            partial(self._deliver, row),
        )

    def _deliver(self, row: str) -> None:
        """The next record of a row. One that fails is tried again before any later one of its row."""
        waiting = self.records[row]
        about, act = waiting[0]
        if self._faults.happens("record_lost"):
            self._loop.note("  record given up", row)
            self.lost.add(about)
            done = True
        else:
            done, _ = self._faults.run(act)
        if not done:
            self._loop.after(self._random.uniform(0.2, 4), "record again", row, partial(self._deliver, row))
            return
        waiting.popleft()
        if self._faults.happens("record_again"):
            late = self._random.choice((0.0, 2.0, 600.0))
            self._loop.after(self._random.uniform(0, late), "record twice", row, partial(self._faults.run, act))
        if waiting:
            self._deliver_later(row)
        else:
            del self.records[row]

    def _dead_letter(self, url: str, bell: Doorbell) -> None:
        before = self._faults.calls["queue.ring"]
        done, _ = self._faults.run(partial(self._dead_letters.handle, bell))
        self.rung_again += self._faults.calls["queue.ring"] - before
        if done:
            self.queue.buried[url] -= 1
            return
        again = partial(self._dead_letter, url, bell)
        self._loop.after(self._random.uniform(10, 60), "dead letter again", bell.unit_id, again)


Act = Callable[[], Any]
