"""One seed: a world, what goes wrong in it, and whether every promise was kept."""

import gc
import logging
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

from bench.simulate import checks
from bench.simulate.customers import Customers
from bench.simulate.deployment import Deployment
from bench.simulate.faults import Faults
from bench.simulate.fleet import Fleet
from bench.simulate.loop import Loop, Trace
from bench.simulate.promptness import check_promptness
from bench.simulate.scale import small_scale
from bench.simulate.thrift import check_thrift
from bench.simulate.violations import Violation
from bench.simulate.work import Work

UNITS_PER_SEED = 100
_HOUR = 3_600.0
# Faults last as long as customers submit and a while longer, but no longer than this.
_TROUBLE = 2 * _HOUR
# After everybody behaves again: a lost bell costs an hour and a quarter.
_JOBS_END_WITHIN = 3 * _HOUR
# In some seeds nobody comes any more, and what waits is given up after a day.
_DESERTED = 0.05
_PATIENCE = 27 * _HOUR
_WEBHOOKS_END_WITHIN = 5 * 24 * _HOUR
# In which what comes late has come, and recovery has looked at every job.
_LATE = 2_400.0
# In one world of so many only work itself fails: there, nothing may wait for what repairs forgotten work.
_CALM_EVERY = 4


@dataclass(frozen=True)
class Failure:
    """A promise that was broken, with the last of what led there."""

    promise: str
    found: str
    trace: list[str]


@dataclass(frozen=True)
class Result:
    seed: int
    jobs: int = 0
    units: int = 0
    completed: int = 0
    events: int = 0
    virtual_seconds: float = 0.0
    core_seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    failure: Failure | None = None


def simulate(seed: int, *, units: int = UNITS_PER_SEED, tell: Callable[[str], None] | None = None) -> Result:
    """Plays one seed to its end. The same seed on the same commit is the same trace, to the byte."""
    with _quiet():
        return Simulation(seed, units=units, tell=tell).run()


@contextmanager
def _quiet() -> Iterator[None]:
    """Services log what went wrong, which here is the point; and what a seed leaves behind is collected after it."""
    logger = logging.getLogger("gpupool")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        logger.setLevel(level)


class Simulation:
    def __init__(self, seed: int, *, units: int, tell: Callable[[str], None] | None = None) -> None:
        self.seed = seed
        random = Random(seed)
        self.trace = Trace(tell)
        self.loop = Loop(random, self.trace)
        self.faults = Faults(random, self.loop)
        self.deployment = Deployment(random, self.loop, self.faults)
        self.customers = Customers(random, self.loop, self.faults, self.deployment, wanted=units)
        self.fleet = Fleet(random, self.loop, self.faults, self.deployment)
        self.work = Work(random, self.loop, self.faults, self.deployment, self.fleet)
        self._random = random
        self._steps = 0

    def run(self) -> Result:
        began = time.process_time()
        failure = None
        try:
            with small_scale(self._random, calm=self._is_calm):
                self._play()
        except Exception as error:  # noqa: BLE001  whatever it is, it is what the seed found
            failure = self._failure(error)
        units = [unit for rows in self.deployment.world.units.values() for unit in rows.values()]
        return Result(
            seed=self.seed,
            jobs=len(self.deployment.world.jobs),
            units=len(units),
            completed=sum(unit.status == "completed" for unit in units),
            events=self._steps,
            virtual_seconds=self.loop.now,
            core_seconds=time.process_time() - began,
            faults=self.faults.injected + Counter({"at once": self.loop.crowded}),
            failure=failure,
        )

    @property
    def _is_calm(self) -> bool:
        return self.seed % _CALM_EVERY == _CALM_EVERY - 1

    def _play(self) -> None:
        calm = self._is_calm
        self.faults.begin(calm=calm)
        window = self.deployment.ports.settings.release_window
        if calm:
            self.deployment.watch.window = window
            self.deployment.recovering.expect_nothing()
        self.customers.begin()
        self.fleet.begin()
        self.deployment.recovering.begin()
        deserted = self._random.random() < _DESERTED
        if deserted:
            self._pass(self._random.uniform(60, 900))
        else:
            self._pass(_TROUBLE, unless=lambda: self.customers.done)
            self._pass(self._random.uniform(200, 1_500))
        self._heal(deserted=deserted)
        self._until(self._is_over, within=_PATIENCE if deserted else _JOBS_END_WITHIN, promise="no job waits for ever")
        self._pass(_LATE)
        checks.check_jobs(self.deployment)
        if not deserted:
            checks.check_queues(self.deployment)
            if calm:
                watch = self.deployment.watch
                check_promptness(self.deployment.world, failed=watch.failed, window=window)
                check_thrift(
                    self.deployment.world,
                    self.faults.calls,
                    executions=len(self.deployment.executor.all),
                    rung=watch.rung.total() + self.deployment.rung_again,
                )
        self._until(lambda: not self.deployment.postman.pending, within=_WEBHOOKS_END_WITHIN, promise="every delivery ends")
        checks.check_webhooks(self.deployment)
        checks.check_jobs(self.deployment)

    def _heal(self, *, deserted: bool) -> None:
        self.loop.note("healed", "and deserted" if deserted else "")
        self.faults.heal()
        if deserted:
            self.customers.stop()
            self.fleet.desert()
        else:
            self.fleet.heal()

    def _is_over(self) -> bool:
        return self.customers.done and self.deployment.is_quiet

    def _pass(self, seconds: float, *, unless: Callable[[], bool] = lambda: False) -> None:
        """Plays ``seconds`` of virtual time, or until ``unless``."""
        until = self.loop.now + seconds
        self._until(lambda: unless() or self.loop.next_at is None or self.loop.next_at > until, within=seconds, promise="")

    def _until(self, reached: Callable[[], bool], *, within: float, promise: str) -> None:
        deadline = self.loop.now + within
        watch = self.deployment.watch
        while not reached():
            due = self.loop.next_at
            if due is None or due > deadline:
                raise Violation(promise, sorted(watch.live_jobs) or "nothing is left to happen")
            self.loop.step()
            self._steps += 1
            if watch.violation is not None:
                raise watch.violation

    def _failure(self, error: Exception) -> Failure:
        if isinstance(error, Violation):
            return Failure(error.promise, str(error.found), self.trace.last())
        return Failure(
            "functions fail only where a fault was injected", "".join(traceback.format_exception(error)), self.trace.last()
        )
