"""Going over a live job's units, a page per step: what is ready is released, what many wait for is opened, and what was
forgotten is found again."""

from dataclasses import replace

from gpupool.clock import Clock
from gpupool.jobs.model import Job
from gpupool.jobs.store import JobStore
from gpupool.units import decide as moves
from gpupool.units.model import Unit
from gpupool.units.store import UnitStore
from gpupool.workflow.decide import (
    BROKEN,
    RELEASED,
    has_room,
    is_overdue,
    lacks_consequences,
    outcome_of,
    overdue_before,
    tended,
    window_after,
)
from gpupool.workflow.executions import Executions
from gpupool.workflow.model import Outcome, Step
from gpupool.workflow.moves import apply_move
from gpupool.workflow.rounds import Round, round_at, round_over, thorough_round_over, walk
from gpupool.workflow.settle import Opened, Settlement

# Each step and each wait leaves some eight events in the execution's history, which holds 25,000. And a wait takes a quarter of
# an hour at most, so that an execution hands over before its seven days are over.
MOST_STEPS = 1_000
_GOES_ON = frozenset({Outcome.ADVANCE, Outcome.TEND})


class Tending:
    """``released``: how many units of a job may be released and not completed, at least."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        units: UnitStore,
        settlement: Settlement,
        executions: Executions,
        clock: Clock,
        released: int = RELEASED,
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
        seen = round_at(step.cursor) or round_over(job, overdue=overdue_before(job.window, now=self._clock.now()))
        seen, more = walk(self._units, job.id, seen, lambda unit, sofar: self._tend(unit, job, sofar))
        if more:
            return Step(Outcome.TEND, seen.cursor, step.steps + 1)
        return self._after(job, seen, step.steps + 1)

    def _tend(self, unit: Unit, job: Job, seen: Round) -> Round:
        now = self._clock.now()
        overdue = is_overdue(unit, now=now)
        if seen.thorough and overdue and self._settlement.conclude(unit) is Opened.LEFT:
            seen = replace(seen, fan_outs=seen.fan_outs | {unit.index})
        if moves.is_ready(unit, met=seen.fan_outs) and not has_room(seen, released=self._released):
            return seen if seen.high is not None else replace(seen, high=unit.index)
        moved = apply_move(
            self._units,
            unit,
            lambda fresh: moves.due(fresh, met=seen.fan_outs, progressed_at=job.progressed_at, now=now),
        )
        if moved.status in BROKEN and moved.failure is not None:
            self._jobs.note_failure(moved.job_id, moved.failure)
        return tended(seen, moved, overdue=overdue, wrote=moved is not unit or (seen.thorough and overdue))

    def _after(self, job: Job, done: Round, steps: int) -> Step:
        if job.window is not None or done.high is not None:
            self._jobs.note_window(job.id, window_after(done, released=self._released, now=self._clock.now()))
        if done.fan_outs and done.high is None:
            self._jobs.fanned_out(job.id, done.fan_outs)
        fresh = self._jobs.get(job.id)
        if fresh is not None and not done.thorough and lacks_consequences(fresh, done):
            return Step(Outcome.TEND, thorough_round_over(fresh).cursor, steps)
        if steps < MOST_STEPS:
            return Step(Outcome.ADVANCE, steps=steps + 1)
        self.hand_over(job)
        return Step(Outcome.RENEWED, steps=steps)

    def hand_over(self, job: Job) -> None:
        """Another execution goes on. It starts first: noted but not started, nobody would drive the job."""
        generation = job.generation + 1
        self._executions.start(job.id, generation=generation)
        self._jobs.hand_over(job.id, generation=generation)
