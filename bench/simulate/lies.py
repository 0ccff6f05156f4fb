"""What machines say that is not true, and that nobody gets anything by it."""

from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from bench.simulate.calls import Calls
from bench.simulate.deployment import Deployment
from bench.simulate.fleet import Fleet, Home
from bench.simulate.loop import Loop
from bench.simulate.machines import LEAVES_A_MODEL, MEASURED, PEAK_MB, lease_of, model_file
from bench.simulate.violations import expect
from gpupool.dispatch.memory import Received
from gpupool.units.decide import CLAIMED
from gpupool.units.model import UnitStatus
from gpupool.wire.units import CompleteRequest, Doorway, OutputFile, UnitGrant, UnitVerdict

_KINDS = (
    *("no output", "another output", "other bytes", "token", "attempt", "machine", "runtime"),
    *("unit", "nobody", "doorway", "receipt", "beat", "other beat", "stage"),
)


@dataclass(eq=False)
class Attempt:
    """One attempt in a machine's hands. ``wait``: seconds to its next heartbeat."""

    home: Home
    bell: Received
    grant: UnitGrant
    over: bool = False
    began: float = 0.0
    runtime: float = 0.0
    wait: float = 15.0


class Lies:
    """``grants``: all that machines were ever given, which others may try to use."""

    def __init__(self, random: Random, loop: Loop, calls: Calls, deployment: Deployment, fleet: Fleet) -> None:
        self._random, self._loop, self._calls, self._deployment, self._fleet = random, loop, calls, deployment, fleet
        self.grants: list[UnitGrant] = []

    def tell_one(self, attempt: Attempt) -> None:
        """Before the honest report, something that is not true."""
        what = self._random.choice(_KINDS)
        late = self._random.uniform(0, attempt.runtime)
        self._loop.after(late, f"lie about {what}", attempt.grant.unit_id, partial(self._tell, attempt, what))

    def _tell(self, attempt: Attempt, what: str) -> None:
        machine, grant, leases = attempt.home.machine, attempt.grant, self._deployment.node.leases
        if what in ("doorway", "receipt"):
            self._claim_unheard(attempt, what)
        elif what == "unit":
            other = self._random.choice(self.grants)
            answer = self._calls.make(partial(leases.claim, machine.worker, other.unit_id, attempt.bell.doorway))
            if answer.value is not None and answer.value.unit_id != grant.unit_id:
                check_place(self._deployment, attempt.home, answer.value)
                self.grants.append(answer.value)
        elif what == "nobody":
            self._speak_of_nobody(attempt)
        elif what == "beat":
            self._calls.make(partial(machine.heartbeat, self._random.choice(self.grants)))
        elif what == "other beat":
            self._beat_for_another(attempt)
        elif what == "stage":
            self._calls.make(partial(machine.heartbeat, grant, stage=CLAIMED))
        elif what == "machine":
            other_home = self._random.choice(self._fleet.homes)
            self._refused(attempt, what, partial(other_home.machine.complete, grant), unless=other_home is attempt.home)
        else:
            report = partial(leases.complete, machine.worker, grant.unit_id, self._false_report(attempt, what))
            honest = what == "runtime" or (what == "no output" and grant.role not in LEAVES_A_MODEL)
            self._refused(attempt, what, report, unless=honest)

    def _beat_for_another(self, attempt: Attempt) -> None:
        home = self._random.choice(self._fleet.homes)
        answer = self._calls.make(partial(home.machine.heartbeat, attempt.grant))
        if home is not attempt.home and answer.value is not None:
            told = answer.value.units[0].verdict
            expect(told is not UnitVerdict.CONTINUE, "no machine goes on with another's work", (attempt.grant.unit_id, told))

    def _speak_of_nobody(self, attempt: Attempt) -> None:
        """Of a unit that there never was."""
        machine, nobody = attempt.home.machine, f"{attempt.grant.job_id}.99999"
        claim = partial(self._deployment.node.leases.claim, machine.worker, nobody, attempt.bell.doorway)
        beat = partial(machine.heartbeat, attempt.grant.model_copy(update={"unit_id": nobody}))
        answer = self._calls.make(self._random.choice((claim, beat)))
        lost = answer.value is None or answer.value.units[0].verdict is UnitVerdict.LEASE_LOST
        expect(lost, "nobody holds what there never was", nobody)

    def _claim_unheard(self, attempt: Attempt, what: str) -> None:
        """A unit that waits, by a queue that is not ours or a receipt that was made up."""
        rows = self._deployment.world.units[attempt.grant.job_id].values()
        waiting = [unit.id for unit in rows if unit.status is UnitStatus.QUEUED]
        wanted = self._random.choice(waiting or [attempt.grant.unit_id])
        url = "https://evil.example/queue" if what == "doorway" else attempt.bell.doorway.queue_url
        doorway = Doorway(queue_url=url, receipt_handle="made up")
        answer = self._calls.make(partial(self._deployment.node.leases.claim, attempt.home.machine.worker, wanted, doorway))
        expect(answer.value is None, "nobody gets a unit whose bell it has not heard", (wanted, what))

    def _refused(self, attempt: Attempt, what: str, act: Any, *, unless: bool) -> None:
        if unless:
            self._deployment.watch.handed_in.add(attempt.grant.lease_token)
        answer = self._calls.make(act)
        if not unless and answer.value is not None:
            expect(what != "token" and not answer.value.accepted, "a false report is not accepted", (what, answer))

    def _false_report(self, attempt: Attempt, what: str) -> CompleteRequest:
        grant = attempt.grant
        lease, runtime = lease_of(grant), attempt.runtime
        outputs = self._a_model(grant)
        if what == "token":
            lease = lease.model_copy(update={"lease_token": "0" * 32})
        elif what == "attempt":
            lease = lease.model_copy(update={"attempt": grant.attempt + 1})
        elif what == "no output":
            outputs = []
        elif what == "another output":
            outputs = [model_file(b"never uploaded", name="never.tar.gz")]
        elif what == "other bytes":
            outputs = [model_file(b"no model at all")]
        else:
            runtime = self._random.choice((0.0, 1e9))
        told = {"metrics": {MEASURED: runtime}, "peak_memory_mb": PEAK_MB}
        return CompleteRequest(lease=lease, outputs=outputs, runtime_seconds=runtime, **told)

    def _a_model(self, grant: UnitGrant) -> list[OutputFile]:
        self._deployment.objects.put(f"jobs/{grant.job_id}/{grant.unit_id}/{grant.attempt}/model.tar.gz", b"a model")
        return [model_file(b"a model")]


def check_place(deployment: Deployment, home: Home, grant: UnitGrant) -> None:
    """Sensitive work stays in the pools that it may run in, whatever a machine asks for, and a machine gets what fits it."""
    unit = deployment.world.units[grant.job_id][grant.unit_id]
    url = deployment.queue.queue_url(unit.pool, unit.capability)
    worker = home.machine.worker
    expect(url in worker.queue_urls, "a unit runs in its own pool and class", (grant.unit_id, url))
    needed, there = unit.work.required_disk_mb, worker.disk_free_mb
    expect(needed <= there, "a unit runs where it fits", (grant.unit_id, needed, there))
    expect(home.machine.pages or grant.more_needs is None, "who reads no further pages gets no such unit", grant.unit_id)
