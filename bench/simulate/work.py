"""What a machine does with a bell: claims, works, beats, reports; or crashes, stalls, lies and repeats itself."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

from bench.simulate.calls import Answer, Calls
from bench.simulate.deployment import Deployment
from bench.simulate.faults import Faults
from bench.simulate.fleet import Fleet, Home
from bench.simulate.loop import Loop
from bench.simulate.machines import LEAVES_A_MODEL, MEASURED, lease_of, model_file
from bench.simulate.violations import expect, expect_equal
from gpupool.dispatch.memory import Received
from gpupool.ids import unit_id
from gpupool.units import inputs
from gpupool.units.decide import CLAIMED
from gpupool.units.model import Unit, UnitStatus
from gpupool.wire.failures import FailureCode
from gpupool.wire.units import CompleteRequest, Doorway, HeartbeatResponse, LogChunk, OutputFile, UnitGrant, UnitVerdict

_CLOCKS_DIFFER = timedelta(seconds=2)
_LOG = LogChunk(seq=0, size_bytes=7, sha256="0" * 64)
_BEAT_SECONDS = 15.0
_LEASE_SECONDS = 60.0
_CLAIM_TRIES, _REPORT_TRIES = 3, 8
_SAYABLE = sorted(set(FailureCode) - {FailureCode.PLANNING_FAILED, FailureCode.DISPATCH_FAILED, FailureCode.LEASE_EXPIRED})
_LIES = ("no output", "another output", "token", "attempt", "machine", "runtime", "unit", "doorway", "beat", "stage")


@dataclass(eq=False)
class Attempt:
    """One attempt in a machine's hands."""

    home: Home
    bell: Received
    grant: UnitGrant
    over: bool = False
    runtime: float = 0.0


class Work:
    def __init__(self, random: Random, loop: Loop, faults: Faults, deployment: Deployment, fleet: Fleet) -> None:
        self._random, self._loop, self._faults, self._deployment, self._fleet = random, loop, faults, deployment, fleet
        self._calls = Calls(loop, faults)
        self._grants: list[UnitGrant] = []
        self._needless: Counter[str] = Counter()
        self._quick = random.choice((0.5, 5.0, 20.0))
        fleet.answer = self.answer

    def answer(self, home: Home, bell: Received) -> None:
        """A slot of ``home`` is taken by this bell until it is freed again."""
        if self._faults.happens("bell_ignored"):
            late = self._random.choice((0.0, 40.0))
            self._loop.after(late, "bell let go", bell.bell.unit_id, partial(self._let_go, home, bell))
            return
        delay = self._random.uniform(0.05, 1)
        self._loop.after(delay, "claim", bell.bell.unit_id, partial(self._claim, home, bell, 1))

    def _let_go(self, home: Home, bell: Received) -> None:
        """Declined, claimed late, or just forgotten."""
        how = self._random.choice(("decline", "claim", "forget"))
        if how == "claim":
            self._claim(home, bell, 1)
            return
        if how == "decline":
            leases = self._deployment.node.leases
            self._calls.make(partial(leases.decline, home.machine.worker, bell.doorway))
        self._free(home)

    def _claim(self, home: Home, bell: Received, tries: int) -> None:
        answer = self._calls.make(partial(home.machine.claim, bell))
        if answer.failed and tries < _CLAIM_TRIES and home.online:
            again = partial(self._claim, home, bell, tries + 1)
            self._loop.after(self._random.uniform(0.5, 4), "claim again", bell.bell.unit_id, again)
        elif answer.value is None:
            if self._deployment.watch.window is not None and answer.refused in ("UNIT_GONE", "UNIT_LEASED"):
                self._check_needless(bell)
            if answer.refused == "UNIT_NOT_SUITABLE":
                self._check_unsuitable(home, bell)
            self._free(home)
        else:
            expect_equal(answer.value.unit_id, bell.bell.unit_id, "a claim grants what was asked for")
            self._check_place(home, answer.value)
            self._begin(Attempt(home, bell, answer.value))

    def _check_needless(self, bell: Received) -> None:
        """Where only work fails, nobody hears a bell in vain, but of a cancelled unit, or of one that waited for so long that
        it was rung for again."""
        unit = self._deployment.world.units[bell.bell.job_id][bell.bell.unit_id]
        excused = unit.status is UnitStatus.CANCELLED or unit.rung_at is not None
        expect(excused, "a bell is heard until somebody answers it", (unit.id, unit.status))
        if unit.is_final and not self._deployment.buried:
            self._needless[unit.id] += 1
            rung = self._deployment.watch.rung[unit.id]
            expect(self._needless[unit.id] <= rung, "nobody hears again of a unit that needs nobody", (unit.id, rung))

    def _check_unsuitable(self, home: Home, bell: Received) -> None:
        """Only for want of room, for needs that it cannot read, or after it failed the unit is a machine sent away."""
        unit = self._deployment.world.units[bell.bell.job_id][bell.bell.unit_id]
        worker, work = home.machine.worker, unit.work
        small = work.required_disk_mb > worker.disk_free_mb or work.required_vram_mb > worker.vram_mb
        wide = not home.machine.pages and len(unit.needs) > inputs.NEEDS_PER_PAGE
        at = self._loop.clock.moment - _CLOCKS_DIFFER
        paused = self._deployment.watch.pauses.may_last(unit, worker.node_id, at=at)
        expect(small or wide or paused, "a machine that can do the work may have it", (unit.id, home.number))

    def _check_place(self, home: Home, grant: UnitGrant) -> None:
        """Sensitive work stays in the pools that it may run in, whatever a machine asks for."""
        unit = self._unit(grant)
        url = self._deployment.queue.queue_url(unit.pool, unit.capability)
        worker = home.machine.worker
        expect(url in worker.queue_urls, "a unit runs in its own pool and class", (grant.unit_id, url))
        needed, there = unit.work.required_disk_mb, worker.disk_free_mb
        expect(needed <= there, "a unit runs where it fits", (grant.unit_id, needed, there))
        expect(home.machine.pages or grant.more_needs is None, "who reads no further pages gets no such unit", grant.unit_id)

    def _begin(self, attempt: Attempt) -> None:
        self._grants.append(attempt.grant)
        self._fetch(attempt)
        long = self._random.random() < 0.1
        attempt.runtime = self._random.uniform(40, 400) if long else self._random.expovariate(1 / self._quick)
        if self._faults.happens("crash_silently"):
            self._crash(attempt)
            return
        if self._faults.happens("lie"):
            self._lie(attempt)
        if self._faults.happens("stall"):
            attempt.runtime += self._random.uniform(_LEASE_SECONDS, 15 * _LEASE_SECONDS)
        else:
            self._beat_later(attempt)
        self._loop.after(attempt.runtime, "report", attempt.grant.unit_id, partial(self._report, attempt))

    def _fetch(self, attempt: Attempt) -> None:
        """The machine reads what the unit needs: all of it, each once."""
        answer = self._calls.make(partial(attempt.home.machine.needs, attempt.grant))
        if answer.value is not None:
            unit = self._unit(attempt.grant)
            wanted = [unit_id(unit.job_id, index) for index in unit.needs]
            expect_equal(answer.value, wanted, f"{unit.id} is handed what it needs")

    def _crash(self, attempt: Attempt) -> None:
        """The power goes: nothing is said, and everything in hand is forgotten."""
        self._loop.note("  crashed", f"home {attempt.home.number}")
        attempt.over = True
        attempt.home.busy -= 1
        self._fleet.leave(attempt.home, self._random.uniform(20, 900))

    def _free(self, home: Home) -> None:
        home.busy -= 1
        self._fleet.free(home)

    def _beat_later(self, attempt: Attempt) -> None:
        wait = _BEAT_SECONDS * attempt.home.pace
        if wait < attempt.runtime:
            beat = partial(self._beat, attempt, self._loop.now + attempt.runtime)
            self._loop.after(wait, "beat", attempt.grant.unit_id, beat)

    def _beat(self, attempt: Attempt, ends_at: float) -> None:
        if attempt.over:
            return
        before = self._status(attempt.grant)
        log = self._random.choice((None, _LOG))
        answer = self._calls.make(partial(attempt.home.machine.heartbeat, attempt.grant, fraction=0.5, log=log, beats=1.0))
        if answer.value is not None and not self._is_to_go_on(attempt, before, answer.value, log):
            self._finish(attempt)
            return
        wait = _BEAT_SECONDS * attempt.home.pace
        if self._loop.now + wait < ends_at:
            self._loop.after(wait, "beat", attempt.grant.unit_id, partial(self._beat, attempt, ends_at))

    def _is_to_go_on(self, attempt: Attempt, before: UnitStatus, answer: HeartbeatResponse, log: LogChunk | None) -> bool:
        """Whether the attempt is still wanted, and that the answer has what it should have."""
        unit_id, told = attempt.grant.unit_id, answer.units[0]
        wait = answer.heartbeat_seconds
        expect(wait <= _BEAT_SECONDS, "no machine is to be silent for longer than it may be", (unit_id, wait))
        if told.verdict is UnitVerdict.CONTINUE:
            expect((told.log_upload is None) == (log is None), "a piece of log has its place, once it is asked for", unit_id)
            self._check_told(attempt)
            return True
        cancelled = told.verdict is UnitVerdict.CANCEL
        expect(cancelled or before is not UnitStatus.CANCELLED, "who holds a cancelled unit is told so", unit_id)
        expect(not cancelled or self._status(attempt.grant) is UnitStatus.CANCELLED, "only what was cancelled is", unit_id)
        return False

    def _check_told(self, attempt: Attempt) -> None:
        """Where only work fails, nobody writes between a heartbeat and a look at the row."""
        if self._deployment.watch.window is None:
            return
        unit = self._unit(attempt.grant)
        told = (unit.progress_fraction, unit.progress_stage, unit.metrics)
        expect_equal(told, (0.5, "running", {"beats": 1.0}), f"{unit.id} says what its machine told")

    def _unit(self, grant: UnitGrant) -> Unit:
        return self._deployment.world.units[grant.job_id][grant.unit_id]

    def _status(self, grant: UnitGrant) -> UnitStatus:
        return self._unit(grant).status

    def _report(self, attempt: Attempt) -> None:
        if attempt.over:
            return
        code = None
        if self._faults.happens("fail"):
            code = self._random.choice(_SAYABLE)
        elif self._faults.happens("drain"):
            code = FailureCode.NODE_DRAINED
            home = attempt.home
            home.slots = 0
            self._loop.after(self._random.uniform(30, 600), "back", f"home {home.number}", partial(self._undrain, home))
        if code is None and attempt.grant.role in LEAVES_A_MODEL:
            self._upload(attempt)
        self._say(attempt, code, 1)

    def _upload(self, attempt: Attempt) -> None:
        """What a machine leaves comes to lie in its attempt's own place."""
        grant = attempt.grant
        answer = self._calls.make(partial(attempt.home.machine.place_of, grant, model_file(b"a model")))
        if answer.value is not None:
            wanted = f"jobs/{grant.job_id}/{grant.unit_id}/{grant.attempt}/model.tar.gz"
            expect_equal(answer.value, wanted, "an attempt uploads to its own place")

    def _undrain(self, home: Home) -> None:
        home.slots = 1
        self._fleet.free(home)

    def _say(self, attempt: Attempt, code: FailureCode | None, tries: int) -> None:
        answer = self._tell(attempt, code)
        unit_id = attempt.grant.unit_id
        if not answer.failed and answer.refused is None:
            expect_equal(answer.value.unit_id, unit_id, "a report is answered")
            if code is FailureCode.NODE_DRAINED and answer.value.accepted:
                self._deployment.watch.taken_back[unit_id] += 1
        if answer.failed and tries < _REPORT_TRIES:
            again = partial(self._say, attempt, code, tries + 1)
            self._loop.after(self._random.uniform(0.5, 6), "report again", unit_id, again)
            return
        if self._faults.happens("report_again"):
            late = self._random.choice((0.0, 0.2, 90.0))
            other = self._random.choice((code, None, FailureCode.SCRIPT_FAILED))
            self._loop.after(late, "report twice", unit_id, partial(self._repeat, attempt, other))
        self._finish(attempt)

    def _repeat(self, attempt: Attempt, code: FailureCode | None) -> None:
        """Another report, long after the last: whose report ended the attempt is told how the unit stands."""
        known = self._unit(attempt.grant).completed_by == attempt.grant.lease_token
        answer = self._tell(attempt, code)
        expect(not known or answer.refused is None, "a report that was heard may be repeated", attempt.grant.unit_id)

    def _tell(self, attempt: Attempt, code: FailureCode | None) -> Answer:
        machine, grant = attempt.home.machine, attempt.grant
        # Said before it is known whether it arrives: the holder is through with it either way.
        self._deployment.watch.handed_in.add(grant.lease_token)
        if code is None:
            return self._calls.make(partial(machine.complete, grant, runtime_seconds=round(attempt.runtime, 3)))
        self._deployment.watch.failed[grant.unit_id] += 1
        return self._calls.make(partial(machine.fail, grant, code))

    def _finish(self, attempt: Attempt) -> None:
        if not attempt.over:
            attempt.over = True
            self._free(attempt.home)

    def _lie(self, attempt: Attempt) -> None:
        """Before the honest report, something that is not true."""
        what = self._random.choice(_LIES)
        late = self._random.uniform(0, attempt.runtime)
        self._loop.after(late, f"lie about {what}", attempt.grant.unit_id, partial(self._tell_lie, attempt, what))

    def _tell_lie(self, attempt: Attempt, what: str) -> None:
        machine, grant, leases = attempt.home.machine, attempt.grant, self._deployment.node.leases
        if what == "doorway":
            foreign = Doorway(queue_url="https://evil.example/queue", receipt_handle="receipt")
            self._calls.make(partial(leases.claim, machine.worker, grant.unit_id, foreign))
        elif what == "unit":
            other = self._random.choice(self._grants)
            answer = self._calls.make(partial(leases.claim, machine.worker, other.unit_id, attempt.bell.doorway))
            if answer.value is not None and answer.value.unit_id != grant.unit_id:
                self._check_place(attempt.home, answer.value)
                self._grants.append(answer.value)
        elif what == "beat":
            self._calls.make(partial(machine.heartbeat, self._random.choice(self._grants)))
        elif what == "stage":
            self._calls.make(partial(machine.heartbeat, grant, stage=CLAIMED))
        elif what == "machine":
            other_home = self._random.choice(self._fleet.homes)
            self._refused(attempt, partial(other_home.machine.complete, grant), unless=other_home is attempt.home)
        else:
            report = partial(leases.complete, machine.worker, grant.unit_id, self._false_report(attempt, what))
            honest = what == "runtime" or (what == "no output" and grant.role not in LEAVES_A_MODEL)
            self._refused(attempt, report, unless=honest)

    def _refused(self, attempt: Attempt, act: Any, *, unless: bool) -> None:
        if unless:
            self._deployment.watch.handed_in.add(attempt.grant.lease_token)
        answer = self._calls.make(act)
        if not unless and answer.value is not None:
            expect_equal(answer.value.accepted, False, "a false report is not accepted")

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
        else:
            runtime = self._random.choice((0.0, 1e9))
        return CompleteRequest(lease=lease, outputs=outputs, metrics={MEASURED: runtime}, runtime_seconds=runtime)

    def _a_model(self, grant: UnitGrant) -> list[OutputFile]:
        self._deployment.objects.put(f"jobs/{grant.job_id}/{grant.unit_id}/{grant.attempt}/model.tar.gz", b"a model")
        return [model_file(b"a model")]
