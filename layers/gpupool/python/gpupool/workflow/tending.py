"""Going over a live job's units, some pages per step: what is ready is released, what many wait for is opened, and what was
forgotten is found again."""

import logging
from dataclasses import replace

from gpupool.clock import Clock
from gpupool.errors import StaleWrite
from gpupool.ids import unit_id
from gpupool.jobs.model import Job
from gpupool.jobs.store import JobStore
from gpupool.units import decide as moves
from gpupool.units.model import Unit, UnitStatus
from gpupool.units.store import UnitStore
from gpupool.workflow.decide import (
    BROKEN,
    has_room,
    held_back,
    is_overdue,
    is_to_be_watched,
    lacks_consequences,
    needs_a_whole_round,
    outcome_of,
    tended,
    window_after,
    writes_to_conclude,
)
from gpupool.workflow.executions import Executions
from gpupool.workflow.model import Outcome, Step
from gpupool.workflow.moves import apply_move
from gpupool.workflow.rounds import Round, round_at, round_behind, round_over, thorough_round_over, walk
from gpupool.workflow.settle import Opened, Settlement

# Each step and each wait leaves some eight events in the execution's history, which holds 25,000. And a wait takes a quarter of
# an hour at most, so that an execution hands over before its seven days are over.
MOST_STEPS = 1_000
# Of a debit that meets another. They take milliseconds, so that the next try meets none as a rule.
_TRIES = 3
_GOES_ON = frozenset({Outcome.ADVANCE, Outcome.TEND})

logger = logging.getLogger(__name__)


class Tending:
    """``released``: how many units of a job and capability class may be released and not completed, at least. More would stand
    in the queue before everybody else's, and a machine finds enough among these."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        units: UnitStore,
        settlement: Settlement,
        executions: Executions,
        clock: Clock,
        released: int,
    ) -> None:
        self._jobs = jobs
        self._units = units
        self._settlement = settlement
        self._executions = executions
        self._clock = clock
        self._released = released

    def go_on(self, job: Job, step: Step) -> Step:
        """The next pages of the round, or what comes after the last one."""
        outcome = outcome_of(job)
        if outcome not in _GOES_ON:
            return Step(outcome, steps=step.steps)
        seen = round_at(step.cursor) or self._begin(job)
        seen, more = walk(self._units, job.id, seen, lambda unit, sofar: self._tend(unit, job, sofar))
        if more:
            return Step(Outcome.TEND, seen.cursor, step.steps + 1)
        return self._after(job, seen, step.steps + 1, step.generation)

    def _begin(self, job: Job) -> Round:
        """A round over every unit, or one that has seen to the stragglers before its beginning."""
        if job.window is None or needs_a_whole_round(job, job.window, now=self._clock.now()):
            return round_over(job)
        seen = round_behind(job, job.window)
        for index in sorted(job.window.stragglers):
            unit = self._units.get(unit_id(job.id, index))
            if unit is not None:
                seen = self._tend(unit, job, seen)
        return seen

    def _tend(self, unit: Unit, job: Job, seen: Round) -> Round:
        now = self._clock.now()
        overdue = is_overdue(unit, now=now)
        again = seen.thorough and overdue
        if again and self._conclude(unit) is Opened.LEFT:
            seen = replace(seen, fan_outs=seen.fan_outs | {unit.index})
        if moves.is_ready(unit, met=seen.fan_outs) and not has_room(seen, unit.capability, released=self._released):
            return held_back(seen, unit)
        moved = apply_move(
            self._units,
            unit,
            lambda fresh: moves.due(fresh, met=seen.fan_outs, progressed_at=job.progressed_at, now=now),
        )
        if moved.status in BROKEN and moved.failure is not None:
            self._jobs.note_failure(moved.job_id, moved.failure)
        released = unit.status is UnitStatus.WAITING and moved.status is UnitStatus.QUEUED
        writes = (moved is not unit) + (writes_to_conclude(unit) if again else 0)
        return tended(seen, moved, overdue=overdue, released=released, writes=writes)

    def _conclude(self, unit: Unit) -> Opened | None:
        """None when its debit met other debits of the customer time and again. Then a later round makes it: no job may fail by
        its own repair."""
        for _ in range(_TRIES):
            try:
                return self._settlement.conclude(unit)
            except StaleWrite:
                logger.info("debit_met_another", extra={"unit_id": unit.id})
        return None

    def _after(self, job: Job, done: Round, steps: int, own: int | None) -> Step:
        if job.window is not None or done.held:
            window = window_after(done, job.window, released=self._released, now=self._clock.now())
            if window != job.window:
                self._jobs.note_window(job.id, window)
        if done.fan_outs and not done.held:
            self._jobs.fanned_out(job.id, done.fan_outs)
        fresh = self._jobs.get(job.id)
        if fresh is not None and not done.thorough and lacks_consequences(fresh, done):
            return Step(Outcome.TEND, thorough_round_over(fresh).cursor, steps)
        if steps < MOST_STEPS:
            return Step(Outcome.WATCH if is_to_be_watched(done) else Outcome.ADVANCE, steps=steps + 1)
        self.hand_over(job, own=job.generation if own is None else own)
        return Step(Outcome.RENEWED, steps=steps)

    def hand_over(self, job: Job, *, own: int) -> None:
        """The execution after ``own`` goes on. It starts first: noted but not started, nobody would drive the job. Who has
        handed over before, and was not heard, is done."""
        if job.generation > own:
            return
        self._executions.start(job.id, generation=own + 1)
        self._jobs.hand_over(job.id, generation=own + 1)
