"""Machines that come and go, and who of them hears a bell."""

from collections.abc import Callable
from functools import partial
from random import Random

from bench.simulate.calls import Calls
from bench.simulate.deployment import Deployment
from bench.simulate.faults import Faults
from bench.simulate.loop import Loop
from bench.simulate.machines import Machine
from bench.simulate.violations import expect_equal
from gpupool.nodes.model import Tier
from gpupool.wire.capabilities import Capabilities, Gpu

# One machine in eight has a full disk: it hears bells, and no unit fits it. One has just as much as units ask for.
_DISK = (*(50_000,) * 6, 100, 50)
# And one in eight is so old that it reads no needs but those that come with a claim.
_PAGES = (*(True,) * 7, False)
_VRAM = (0, 0, 8_000, 24_000, 80_000)


class Home:
    """One machine with room for ``slots`` units. ``pace``: by how much its clock is slow; a beat comes that much later."""

    def __init__(self, number: int, machine: Machine, *, slots: int, pace: float) -> None:
        self.number = number
        self.machine = machine
        self.slots = slots
        self.pace = pace
        self.busy = 0
        self.online = True
        self.urls = sorted(machine.worker.queue_urls)

    @property
    def is_free(self) -> bool:
        return self.online and self.busy < self.slots


class Fleet:
    """``answer(home, bell)`` is what a machine does with a bell that it received."""

    def __init__(self, random: Random, loop: Loop, faults: Faults, deployment: Deployment) -> None:
        self._random, self._loop, self._faults, self._deployment = random, loop, faults, deployment
        self._calls = Calls(loop, faults)
        self._looks: dict[str, float] = {}
        self.homes: list[Home] = []
        self.answer: Callable[..., None] = lambda _home, _bell: None
        self._count = 0
        deployment.queue.heard = lambda url: self._look_later(url, self._random.uniform(0.02, 1))

    def begin(self) -> None:
        random = self._random
        for _ in range(random.randint(1, 6)):
            self._loop.after(random.uniform(0, 60), "pair", "", self._pair)
        for _ in range(random.choice((0, 2, 6))):
            self._loop.after(random.uniform(10, 1_500), "come or go", "", self._come_or_go)

    def heal(self) -> None:
        """Whoever was away comes back, and a large machine joins that can take every unit."""
        for home in self.homes:
            home.online, home.pace = True, 1.0
        self._add(Tier.CONTROLLED, 80_000, slots=16)
        for home in self.homes:
            self.free(home)

    def desert(self) -> None:
        """Everybody leaves, for good."""
        for home in self.homes:
            home.online, home.slots = False, 0

    def free(self, home: Home) -> None:
        """The machine has room: it looks at its queues."""
        if home.is_free:
            for url in home.urls:
                if self._deployment.queue.waiting(url):
                    self._look_later(url, self._random.uniform(0.02, 1))

    def leave(self, home: Home, seconds: float) -> None:
        home.online = False
        self._loop.after(seconds, "back", f"home {home.number}", partial(self._come_back, home))

    def _come_back(self, home: Home) -> None:
        home.online = True
        self.free(home)

    def _come_or_go(self) -> None:
        if self._random.random() < 0.4:
            self._pair()
        elif self.homes:
            self.leave(self._random.choice(self.homes), self._random.uniform(10, 900))

    def _pair(self) -> None:
        answer = self._calls.make(
            partial(self._add, self._random.choice(tuple(Tier)), self._random.choice(_VRAM), disk_mb=self._random.choice(_DISK))
        )
        if answer.failed:
            self._loop.after(5, "pair again", "", self._pair)

    def _add(self, tier: Tier, vram_mb: int, slots: int = 1, disk_mb: int = 50_000) -> None:
        pace = self._random.uniform(1, 6) if self._faults.happens("drifting") else 1.0
        deployment = self._deployment
        gpus = [Gpu(name="A GPU", vram_mb=vram_mb)] if vram_mb else []
        capabilities = Capabilities(
            cpu_count=8, memory_mb=16_000, disk_free_mb=disk_mb, gpus=gpus, gflops=41.5, sandbox="bubblewrap", python="3.11.7"
        )
        pages = slots > 1 or self._random.choice(_PAGES)
        machine = Machine(
            deployment.node, deployment.queue, deployment.objects, tier=tier, capabilities=capabilities, pages=pages
        )
        idle = machine.heartbeat().heartbeat_seconds
        wanted = max(deployment.ports.settings.heartbeat_seconds, deployment.ports.settings.heartbeat_most_seconds)
        expect_equal(idle, wanted, "an idle machine calls as rarely as it may")
        self._count += 1
        home = Home(self._count, machine, slots=slots, pace=pace)
        self.homes.append(home)
        self.free(home)

    def _look_later(self, url: str, seconds: float) -> None:
        """One look per queue is under way at any time, the earliest that was asked for."""
        at = self._loop.now + seconds
        if at < self._looks.get(url, float("inf")):
            self._looks[url] = at
            self._loop.after(seconds, "look", url, partial(self._look, url, at))

    def _look(self, url: str, at: float) -> None:
        """A free machine receives; nobody does where none is free, until one is."""
        if self._looks.get(url) != at:
            return
        del self._looks[url]
        free = [home for home in self.homes if home.is_free and url in home.machine.worker.queue_urls]
        if not free:
            return
        queue = self._deployment.queue
        bell = queue.receive(url)
        self._deployment.bury(url)
        if bell is not None:
            home = self._random.choice(free)
            home.busy += 1
            self.answer(home, bell)
            self._look_later(url, 0.01)
            return
        visible_at = queue.next_visible_at(url)
        if visible_at is not None:
            wait = (visible_at - self._loop.clock.moment).total_seconds()
            self._look_later(url, wait + self._random.uniform(0.001, 0.5))
