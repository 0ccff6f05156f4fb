"""What must hold at every write, checked as the write happens."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from bench.simulate.loop import CLOCKS_DIFFER, VirtualClock
from bench.simulate.pauses import Pauses
from bench.simulate.streams import Change
from bench.simulate.violations import Violation
from bench.simulate.windows import UNDER_WAY, Windows
from gpupool.ids import unit_id
from gpupool.jobs.model import Job, JobStatus
from gpupool.ledger.model import Balance, EntryKind, Transfer
from gpupool.units.decide import CLAIMED
from gpupool.units.model import Unit, UnitStatus
from gpupool.workflow import decide
from gpupool.world import World

_A_ROUND_TAKES = timedelta(seconds=5)


class Watch:
    """``violation`` keeps what was found first, should whoever made the write swallow the error."""

    def __init__(self, clock: VirtualClock) -> None:
        self.violation: Violation | None = None
        self.live_jobs: set[str] = set()
        # Tokens whose holders said themselves that the attempt is over.
        self.handed_in: set[str] = set()
        # How many attempts on a unit were said to have failed.
        self.failed: Counter[str] = Counter()
        # How many attempts on a unit were accepted as those of an owner who wanted the machine back.
        self.taken_back: Counter[str] = Counter()
        # How many units of a job may be released at a time; None where rounds may overlap and each counts for itself.
        self.window: int | None = None
        self.pauses = Pauses()
        # How many bells rows asked for, by unit.
        self.rung: Counter[str] = Counter()
        self._most_running: dict[tuple[str, str], int] = {}
        self._clock = clock
        self._held: dict[str, int] = {}
        self._moved_at: dict[str, datetime] = {}
        self._opened_at: dict[str, datetime] = {}
        self.world = World(balances=_Balances(self), transfers=_Ledgers(self))

    @property
    def is_calm(self) -> bool:
        """Whether nothing but work fails, so that a row and a queue are as an answer left them."""
        return self.window is not None

    def written(self, change: Change, *, by: str) -> None:
        """``by``: the port and the method that wrote."""
        if isinstance(change.after, Job):
            self._job_written(change.before, change.after, by=by)
            return
        if by == "units.open_edge":
            self._opened_at[change.after.id] = self._clock.moment
        self._unit_written(change.before, change.after)
        if self.is_calm and change.before is not None and by != "units.open_edge":
            # A round that saw nothing under way, for it saw each unit just before, opens once more what is open.
            changed = replace(change.after, version=change.before.version) != change.before
            self._expect(changed, "no write of a unit is in vain", (change.after.id, by))

    def posted(self, known: bool, transfer: Transfer) -> None:
        self._expect(not known, "a transfer is posted once", transfer)
        self._expect(transfer.amount > 0, "no transfer is of nothing", transfer)
        if transfer.kind is EntryKind.GRANT:
            return
        job_id = str(transfer.job_id)
        if transfer.kind is EntryKind.HOLD:
            self._held[job_id] = transfer.amount
            return
        if transfer.kind is EntryKind.DEBIT:
            unit = self.world.units[job_id][str(transfer.unit_id)]
            owed = (unit.status, unit.credits)
            self._expect(owed == (UnitStatus.COMPLETED, transfer.amount), "only completed units are debited", (transfer, owed))
        left = self._held[job_id] - transfer.amount
        self._held[job_id] = left
        self._expect(left >= 0, "a job spends and releases no more than it holds", transfer)
        self._expect(transfer.kind is not EntryKind.RELEASE or left == 0, "a release empties the hold", (transfer, left))

    def balanced(self, balance: Balance) -> None:
        total = balance.available + balance.held + balance.spent
        self._expect(total == balance.granted, "available + held + spent = granted", balance)
        self._expect(min(balance.available, balance.held, balance.spent) >= 0, "no account is below zero", balance)

    def _job_written(self, before: Job | None, after: Job, *, by: str) -> None:
        if after.is_live:
            self.live_jobs.add(after.id)
        else:
            self.live_jobs.discard(after.id)
        if before is not None and not before.is_live:
            self._expect(after.status is before.status, "a job ends once", (before.status, after.status))
        if self.window is not None and after.status is not JobStatus.PLANNING:
            # A round that repeats what follows from completed units has opened their fan-outs once more.
            self._expect(after != before or by == "jobs.fanned_out", "no write of a job is in vain", after.id)
            self._check_window(before, after, self.window)
        self._expect(after.units_completed <= after.units_total or not after.units_total, "a job counts its units once", after)

    def _check_window(self, before: Job | None, after: Job, released: int) -> None:
        if after.window is None or (before is not None and before.window == after.window):
            return
        windows = Windows(self.world.units, self._is_settled, released=released)
        try:
            windows.check(after, after.window, before.window if before is not None else None, now=self._clock.moment)
        except Violation as violation:
            self.violation = self.violation or violation
            raise

    def _is_settled(self, unit: Unit) -> bool:
        return self._clock.moment - self._moved_at[unit.id] > _A_ROUND_TAKES

    def _unit_written(self, before: Unit | None, after: Unit) -> None:
        if before is None or before.status is not after.status or before.open_needs != after.open_needs:
            self._moved_at[after.id] = self._clock.moment
        was = before and (before.status, before.rung_at)
        self.rung[after.id] += after.status is UnitStatus.QUEUED and was != (after.status, after.rung_at)
        if before is None:
            return
        if self.window is not None:
            self._check_release(before, after, self.window)
        self.pauses.written(before, after)
        if before.is_final:
            ends = [(each.status, each.credits, each.failure) for each in (before, after)]
            self._expect(ends[0] == ends[1], "a unit ends once", (after.id, ends))
        self._expect(after.version == before.version + 1, "no write is lost", (after.id, before.version, after.version))
        counted = after.attempt - before.attempt
        self._expect(counted in (0, 1), "attempts count by one", (after.id, before.attempt, after.attempt))
        self._expect(after.attempt <= after.max_attempts, "attempts are bounded", (after.id, after.attempt))
        if before.lease is not None and (after.lease is None or after.lease.token != before.lease.token):
            self._check_lease_ended(before, after)
        self._expect(after.is_final == (after.finished_at is not None), "an end has its time", (after.id, after.status))
        if after.status is UnitStatus.COMPLETED:
            said = (after.failure, after.lease, after.progress_fraction, after.progress_stage)
            self._expect(
                said == (None, None, 1.0, "completed"), "a completed unit is done and has not failed", (after.id, said)
            )
        if after.status is not before.status:
            self._check_moved(before, after)
        if after.attempt > before.attempt:
            self._check_begun(after)
        else:
            beaten = after.status is UnitStatus.RUNNING and after.lease != before.lease
            again = beaten and after.progress_stage == CLAIMED
            self._expect(not again, "only a claim says that a unit was claimed", after.id)

    def _check_moved(self, before: Unit, after: Unit) -> None:
        """A unit that waits again has not been rung for again; one that broke says why."""
        now = self._clock.moment
        if after.status is UnitStatus.QUEUED:
            since = after.queued_at is not None and abs(after.queued_at - now) <= CLOCKS_DIFFER
            self._expect(since and after.rung_at is None, "a unit waits from the moment on when it is queued", after)
            reported = before.lease is not None and after.completed_by == before.lease.token
            said = (after.progress_stage, after.failure is not None)
            self._expect(not reported or said == ("retrying", True), "a failed attempt says that it is retried", after)
        if after.status is UnitStatus.FAILED:
            why = after.failure and (after.failure.unit_id, after.failure.attempt)
            self._expect(why == (after.id, before.attempt), "a broken unit says why", after)

    def _check_begun(self, unit: Unit) -> None:
        told = (unit.metrics, unit.progress_fraction)
        self._expect(told == ({}, None), "an attempt begins with nothing told", (unit.id, told))
        rows = self.world.units[unit.job_id]
        needs = [rows[unit_id(unit.job_id, need)].status for need in unit.needs]
        self._expect(all(each is UnitStatus.COMPLETED for each in needs), "needs come first", (unit.id, needs))
        whose = (unit.node_name, unit.started_at)
        self._expect(None not in whose, "an attempt says who began it and when", (unit.id, whose))
        if unit.lease is not None and unit.started_at is not None:
            pauses = self.pauses.may_last(replace(unit, lease=None), unit.lease.node_id, at=unit.started_at + CLOCKS_DIFFER)
            self._expect(not pauses, "whoever failed a unit lets others have it first", (unit.id, unit.lease.node_id))

    def _check_release(self, before: Unit, after: Unit, window: int) -> None:
        """A unit that no completed one opens by itself is queued by a round alone, which has counted those before it."""
        of_its_class = [
            unit
            for unit in self.world.units[after.job_id].values()
            if unit.capability == after.capability and unit is not after
        ]
        place = (after.job_id, str(after.capability))
        if after.status is UnitStatus.RUNNING:
            running = 1 + sum(unit.status is UnitStatus.RUNNING for unit in of_its_class)
            self._most_running[place] = max(running, self._most_running.get(place, 0))
        if (before.status, after.status) != (UnitStatus.WAITING, UnitStatus.QUEUED) or not self._is_left_to_rounds(after):
            return
        opened = self._just_opened()
        before_it = (unit for unit in of_its_class if unit.index < after.index and unit.id not in opened)
        ahead = sum(unit.status in UNDER_WAY for unit in before_it)
        most = max(window, self._most_running.get(place, 0) * 3 // 2)
        self._expect(ahead < most, "of a wide job no more than a windowful is released", (after.id, ahead, most))

    def _just_opened(self) -> set[str]:
        """Units that a completed one has opened since the round saw them."""
        since = self._clock.moment - _A_ROUND_TAKES
        return {unit_id for unit_id, at in self._opened_at.items() if at > since}

    def _is_left_to_rounds(self, unit: Unit) -> bool:
        rows = self.world.units[unit.job_id]
        return all(len(rows[unit_id(unit.job_id, need)].dependents) > decide.FAN_OUT for need in unit.needs)

    def _check_lease_ended(self, before: Unit, after: Unit) -> None:
        """A lease ends with its holder's report, with its unit, or by lapsing; nobody takes it away."""
        lease = before.lease
        if lease is None or after.is_final or lease.token in self.handed_in:
            return
        lapsed = lease.expires_at <= self._clock.moment + CLOCKS_DIFFER
        self._expect(lapsed, "one valid lease per unit", (after.id, str(lease.expires_at), str(self._clock.moment)))

    def _expect(self, holds: bool, promise: str, found: object) -> None:
        if not holds:
            self.violation = self.violation or Violation(promise, found)
            raise self.violation


class _Balances(dict[str, Balance]):
    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def __setitem__(self, key: str, balance: Balance) -> None:
        super().__setitem__(key, balance)
        self._watch.balanced(balance)


class _Ledger(dict[str, Transfer]):
    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def __setitem__(self, key: str, transfer: Transfer) -> None:
        known = key in self
        super().__setitem__(key, transfer)
        self._watch.posted(known, transfer)


class _Ledgers(dict[str, dict[str, Transfer]]):
    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def setdefault(self, key: str, _default: Any = None) -> dict[str, Transfer]:
        if key not in self:
            self[key] = _Ledger(self._watch)
        return self[key]
