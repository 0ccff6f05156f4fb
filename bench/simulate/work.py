"""What a machine does with a bell: claims, works, beats, reports; or crashes, stalls, lies and repeats itself."""

from functools import partial
from random import Random

from bench.simulate.calls import Answer, Calls
from bench.simulate.deployment import Deployment
from bench.simulate.faults import Faults
from bench.simulate.fleet import Fleet, Home
from bench.simulate.hearing import Hearing
from bench.simulate.lies import Attempt, Lies, check_place
from bench.simulate.loop import Loop
from bench.simulate.machines import LEAVES_A_MODEL, model_file
from bench.simulate.violations import expect, expect_equal
from gpupool.dispatch.memory import Received
from gpupool.ids import unit_id
from gpupool.units.model import Unit, UnitStatus
from gpupool.wire.failures import FailureCode
from gpupool.wire.units import HeartbeatResponse, LogChunk, UnitGrant, UnitInstruction, UnitVerdict

_LOG = LogChunk(seq=0, size_bytes=7, sha256="0" * 64)
_BEAT_SECONDS, _LEASE_SECONDS = 15, 60
_GRACE_SECONDS = _LEASE_SECONDS - _BEAT_SECONDS
_CLAIM_TRIES, _REPORT_TRIES = 3, 8
_SAYABLE = sorted(set(FailureCode) - {FailureCode.PLANNING_FAILED, FailureCode.DISPATCH_FAILED, FailureCode.LEASE_EXPIRED})
_OF_MACHINES = (FailureCode.INPUT_UNAVAILABLE, FailureCode.SANDBOX_FAILED, FailureCode.NODE_DRAINED)


class Work:
    def __init__(self, random: Random, loop: Loop, faults: Faults, deployment: Deployment, fleet: Fleet) -> None:
        self._random, self._loop, self._faults, self._deployment, self._fleet = random, loop, faults, deployment, fleet
        self._calls = Calls(loop, faults)
        self._lies = Lies(random, loop, self._calls, deployment, fleet)
        self._hearing = Hearing(loop, deployment)
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
            if answer.refused is not None:
                self._hearing.check_refused(home, bell, answer.refused)
            self._free(home)
        else:
            expect_equal(answer.value.unit_id, bell.bell.unit_id, "a claim grants what was asked for")
            check_place(self._deployment, home, answer.value)
            self._hearing.check_hidden(answer.value.unit_id, bell.doorway, until=answer.value.lease_expires_at)
            self._begin(Attempt(home, bell, answer.value))

    def _begin(self, attempt: Attempt) -> None:
        self._lies.grants.append(attempt.grant)
        attempt.began = self._loop.now
        self._fetch(attempt)
        long = self._random.random() < 0.1
        attempt.runtime = self._random.uniform(40, 400) if long else self._random.expovariate(1 / self._quick)
        if self._faults.happens("crash_silently"):
            self._crash(attempt)
            return
        if self._faults.happens("lie"):
            self._lies.tell_one(attempt)
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
            self._fetch_some(attempt, wanted)

    def _fetch_some(self, attempt: Attempt, needs: list[str]) -> None:
        """And again those whose addresses have grown old, by name."""
        some = self._random.sample(needs, min(len(needs), self._random.randint(0, 3)))
        answer = self._calls.make(partial(attempt.home.machine.named, attempt.grant, [*some, f"{attempt.grant.job_id}.99999"]))
        if answer.value is not None:
            expect_equal(answer.value, sorted(some), f"{attempt.grant.unit_id} is handed what it asks for by name")

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
        wait = attempt.wait * attempt.home.pace
        if self._loop.now + wait < attempt.began + attempt.runtime:
            self._loop.after(wait, "beat", attempt.grant.unit_id, partial(self._beat, attempt))

    def _beat(self, attempt: Attempt) -> None:
        if attempt.over:
            return
        before = self._unit(attempt.grant).status
        log = self._random.choice((None, _LOG))
        age = int(self._loop.now - attempt.began)
        beat = partial(attempt.home.machine.heartbeat, attempt.grant, fraction=0.5, log=log, age=age, beats=1.0)
        answer = self._calls.make(beat)
        if answer.value is not None:
            told = answer.value.units[0]
            if told.verdict is not UnitVerdict.CONTINUE:
                self._check_ended(attempt, before, told)
                self._finish(attempt)
                return
            expect((told.log_upload is None) == (log is None), "a piece of log has its place, once it is asked for", told)
            self._check_cadence(answer.value, age)
            self._hearing.check_hidden(told.unit_id, attempt.bell.doorway, until=told.lease_expires_at)
            self._check_told(attempt)
            attempt.wait = answer.value.heartbeat_seconds
        self._beat_later(attempt)

    def _check_ended(self, attempt: Attempt, before: UnitStatus, told: UnitInstruction) -> None:
        cancelled = told.verdict is UnitVerdict.CANCEL
        expect(cancelled or before is not UnitStatus.CANCELLED, "who holds a cancelled unit is told so", told.unit_id)
        is_so = self._unit(attempt.grant).status is UnitStatus.CANCELLED
        expect(is_so or not cancelled, "only what was cancelled is", told.unit_id)

    def _check_cadence(self, answer: HeartbeatResponse, age: int) -> None:
        """A machine is to call again when its attempt is twice as old, within bounds; and its lease outlasts that."""
        told, most = answer.units[0], self._deployment.ports.settings.heartbeat_most_seconds
        wanted = min(max(_BEAT_SECONDS, age), max(_BEAT_SECONDS, most))
        expect_equal(answer.heartbeat_seconds, wanted, "no machine is to be silent for longer than it may be")
        grace = (told.lease_seconds or 0) - wanted
        expect(_GRACE_SECONDS - 1 <= grace <= _GRACE_SECONDS, "a lease outlasts the next heartbeat", (told, wanted))

    def _check_told(self, attempt: Attempt) -> None:
        """Where only work fails, nobody writes between a heartbeat and a look at the row."""
        if not self._deployment.watch.is_calm:
            return
        unit = self._unit(attempt.grant)
        told = (unit.progress_fraction, unit.progress_stage, unit.metrics)
        expect_equal(told, (0.5, "running", {"beats": 1.0}), f"{unit.id} says what its machine told")

    def _unit(self, grant: UnitGrant) -> Unit:
        return self._deployment.world.units[grant.job_id][grant.unit_id]

    def _report(self, attempt: Attempt) -> None:
        if attempt.over:
            return
        code = None
        if self._faults.happens("fail"):
            code = self._random.choice(self._random.choice((_SAYABLE, _OF_MACHINES)))
        elif self._faults.happens("drain"):
            code = FailureCode.NODE_DRAINED
            home = attempt.home
            home.slots = 0
            self._loop.after(self._random.uniform(30, 600), "back", f"home {home.number}", partial(self._undrain, home))
        if code is None and attempt.grant.role in LEAVES_A_MODEL:
            self._check_upload_place(attempt)
        self._say(attempt, code, 1)

    def _check_upload_place(self, attempt: Attempt) -> None:
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
            self._check_runtime(attempt)
            self._hearing.check_silenced(unit_id, attempt.bell.doorway)
        if answer.failed and tries < _REPORT_TRIES:
            again = partial(self._say, attempt, code, tries + 1)
            self._loop.after(self._random.uniform(0.5, 6), "report again", unit_id, again)
            return
        if self._faults.happens("report_again"):
            late = self._random.choice((0.0, 0.2, 90.0))
            other = self._random.choice((code, None, FailureCode.SCRIPT_FAILED))
            self._loop.after(late, "report twice", unit_id, partial(self._repeat, attempt, other))
        self._finish(attempt)

    def _check_runtime(self, attempt: Attempt) -> None:
        """Where only work fails, nobody writes between a report and a look at the row."""
        unit = self._unit(attempt.grant)
        if self._deployment.watch.is_calm and unit.status in (UnitStatus.COMPLETED, UnitStatus.FAILED):
            told = abs((unit.runtime_seconds or 0) - attempt.runtime) < 1
            expect(told, "a unit ran for as long as its machine says", (unit.id, unit.runtime_seconds, attempt.runtime))

    def _repeat(self, attempt: Attempt, code: FailureCode | None) -> None:
        """Another report, long after the last: whose report ended the attempt is told how the unit stands."""
        known = self._unit(attempt.grant).completed_by == attempt.grant.lease_token
        answer = self._tell(attempt, code)
        expect(not known or answer.refused is None, "a report that was heard may be repeated", attempt.grant.unit_id)
        held = known or answer.failed or (answer.value is not None and answer.value.accepted)
        expect(held or answer.refused is not None, "whose lease is lost is told so", attempt.grant.unit_id)

    def _tell(self, attempt: Attempt, code: FailureCode | None) -> Answer:
        machine, grant = attempt.home.machine, attempt.grant
        # Said before it is known whether it arrives: the holder is through with it either way.
        self._deployment.watch.handed_in.add(grant.lease_token)
        if code is None:
            return self._calls.make(partial(machine.complete, grant, runtime_seconds=round(attempt.runtime, 3)))
        self._deployment.watch.failed[grant.unit_id] += 1
        return self._calls.make(partial(machine.fail, grant, code, runtime_seconds=round(attempt.runtime, 3)))

    def _finish(self, attempt: Attempt) -> None:
        if not attempt.over:
            attempt.over = True
            self._free(attempt.home)
