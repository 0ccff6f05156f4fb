"""A scenario's world: a cloud, its customers, machines that do as they are told, and time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gpupool.nodes.model import Tier
from gpupool.units.model import Pool, UnitStatus
from gpupool.wire.failures import FailureCode
from gpupool.wire.joining import Doorbell
from gpupool.workflow.executions import job_and_generation
from tests.cloud import rows
from tests.cloud.cloud import Cloud
from tests.cloud.people import Customer, Heard, Machine, NoAnswer
from tests.faults.explorer import Explorer

Json = Any
# What a machine does with a unit: complete it, fail it, or go silent.
Script = Callable[[Json], FailureCode | str]
COMPLETE, VANISH, DECLINE = "complete", "vanish", "decline"
_HORIZON_SECONDS = 4 * 86_400
_LONGEST_STEP_SECONDS = 1_800


@dataclass(eq=False)
class Worker:
    """A machine and what it does with what it gets."""

    machine: Machine
    script: Script
    beats: bool = False
    grants: list[Json] = field(default_factory=list)


@dataclass
class World:
    cloud: Cloud
    explorer: Explorer
    customers: list[Customer] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)
    # Jobs by id, and how each may end.
    jobs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    # Whether a scenario has broken something that only a schedule mends.
    forgotten: bool = False
    # Whether a scenario lets records be given up; what they would have told of units is lost then.
    gives_up: bool = False
    # Whether a receiver is disabled for a time, in which it is told of nothing.
    disables_receivers: bool = False

    def __post_init__(self) -> None:
        self._schedules = dict(self.cloud.schedules)
        self.cloud.schedules.clear()

    def customer(self, **changes: Any) -> Customer:
        self.customers.append(Customer(self.cloud, email=f"customer-{len(self.customers)}@example.org", **changes))
        return self.customers[-1]

    def worker(self, script: Script = lambda _grant: COMPLETE, *, beats: bool = False, tier: Tier = Tier.COMMUNITY) -> Worker:
        self.workers.append(Worker(Machine(self.cloud, tier), script, beats))
        return self.workers[-1]

    def rival(self) -> None:
        """From now on leases may lapse in the middle of their holder's requests: another machine takes the unit then."""
        taker = self.worker()
        self.workers.remove(taker)
        self.explorer.lapse = lambda: self._lapse(taker)

    def on_schedule(self, room: str) -> None:
        """Lets a schedule run. Else none does: what ordinary paths leave undone shall show, and not be mended by a sweep."""
        self.cloud.schedules |= {each: when for each, when in self._schedules.items() if each.room == room}

    def submit(
        self, customer: Customer, inputs: dict[str, str], *, ends: tuple[str, ...] = ("completed",), **changes: Json
    ) -> str:
        job_id = customer.submit(inputs, **changes)
        self.jobs[job_id] = ends
        return job_id

    def finish(self) -> None:
        """Everybody works until every job is over and every delivery is told; then what was late comes, and time passes."""
        self._until_over()
        if self.explorer.deliver_late():
            self._until_over()
        self._look()

    def work(self) -> bool:
        """One round: everybody handles what rings for them; whether anything did."""
        self.cloud.settle()
        self._look()
        moved = False
        for worker in list(self.workers):
            moved |= self._work(worker)
        return moved

    def _work(self, worker: Worker) -> bool:
        moved = False
        while (heard := worker.machine.receive()) is not None:
            moved = True
            try:
                self._handle(worker, heard)
            except NoAnswer:
                continue  # the agent gives up; the lease lapses
            finally:
                self.cloud.settle()
                self._look()
        return moved

    def _handle(self, worker: Worker, heard: Heard) -> None:
        machine = worker.machine
        grant = machine.claim(heard)
        if grant is None:
            return
        worker.grants.append(grant)
        self.cloud.settle()
        what = worker.script(grant)
        if what == VANISH:
            return
        if worker.beats and machine.heartbeat(grant).get(grant["unit_id"]) != "continue":
            return
        if isinstance(what, FailureCode):
            machine.fail(grant, what)
        else:
            machine.complete(grant)

    def _until_over(self) -> None:
        began = self.cloud.clock.now()
        while True:
            moved = self.work()
            if self._is_over():
                return
            if (self.cloud.clock.now() - began).total_seconds() > _HORIZON_SECONDS:
                self.violations.append(f"waits for ever: {self._unfinished()}")
                return
            if not moved:
                self._wait()

    def _wait(self) -> None:
        """Until something rings or is due."""
        now = self.cloud.clock.now().timestamp()
        times = [self.cloud.next_at(), *self._bells()]
        ahead = [time - now for time in times if time > now]
        self.cloud.pass_time(min([_LONGEST_STEP_SECONDS, *(seconds + 0.01 for seconds in ahead)]))

    def _bells(self) -> list[float]:
        urls = {url for worker in self.workers for url in worker.machine.queue_urls}
        return [message.visible_at / 1000 for url in sorted(urls) for message in rows.messages(url.rpartition("/")[2])]

    def _is_over(self) -> bool:
        return not self._unfinished() and not self.explorer.holds_something

    def _unfinished(self) -> list[str]:
        jobs = [f"job {job.id} is {job.status}" for job in rows.jobs() if job.is_live]
        pending = [f"delivery {row['delivery_id']} is pending" for row in rows.rows("deliveries") if row["status"] == "pending"]
        running = [
            f"execution {each.name} is in {each.state}" for each in self.cloud.states.executions.values() if each.is_running
        ]
        return jobs + pending + running

    def _look(self) -> None:
        """At rest: every live job is driven, and what waits for a machine or is with one has a message that rings for it."""
        if self.explorer.holds_something or self.forgotten:
            return
        driven = {job_and_generation(each.name)[0] for each in self.cloud.states.executions.values() if each.is_running}
        # What a rule has called and will call again.
        driven |= {job_and_generation(str(event["stopped"]))[0] for _, event, *_ in self.cloud.reactions}
        for job in rows.jobs():
            if job.is_live and job.id not in driven:
                self.violations.append(f"job {job.id} is {job.status} and nothing drives it")
            if job.is_live:
                self._look_at_units(job.id)

    def _look_at_units(self, job_id: str) -> None:
        waiting = [unit for unit in rows.units(job_id) if unit.status in (UnitStatus.QUEUED, UnitStatus.RUNNING)]
        if not waiting:
            return
        queues = sorted(self.cloud.deployment.queue_urls)
        rung = {
            Doorbell.model_validate_json(each.body).unit_id for name in queues if _rings(name) for each in rows.messages(name)
        }
        for unit in waiting:
            if unit.id not in rung:
                self.violations.append(f"{unit.name} is {unit.status} and nothing rings for it")

    @property
    def lease_seconds(self) -> int:
        return int(self.cloud.deployment.environment["LEASE_SECONDS"])

    def _lapse(self, taker: Worker) -> None:
        self.cloud.clock.advance(self.lease_seconds + 2)
        heard = taker.machine.receive()
        if heard is not None:
            # Whoever takes it goes silent in turn; its lease lapses like any other.
            taker.machine.claim(heard)


def _rings(queue: str) -> bool:
    """Whether it is a queue of doorbells, or of their dead letters."""
    return any(f"-{pool}-" in queue for pool in Pool)
