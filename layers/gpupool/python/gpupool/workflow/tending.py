"""Going over a live job's units, a page per step: what is ready is released, what many wait for is opened, and what was
forgotten is found again."""

from dataclasses import replace

from gpupool.clock import Clock
from gpupool.jobs.model import Job
from gpupool.jobs.store import JobStore
from gpupool.units import decide as moves
from gpupool.units.model import Unit
from gpupool.units.store import UnitStore
from gpupool.workflow.decide import BROKEN, is_overdue, is_under_way, lacks_consequences, outcome_of
from gpupool.workflow.executions import Executions
from gpupool.workflow.model import Outcome, Step
from gpupool.workflow.moves import apply_move
from gpupool.workflow.rounds import Round, round_at, walk
from gpupool.workflow.settle import Settlement

# Each step leaves some eight events in the execution's history, which holds 25,000.
MOST_STEPS = 2_000
_GOES_ON = frozenset({Outcome.ADVANCE, Outcome.TEND})


class Tending:
    def __init__(
        self, *, jobs: JobStore, units: UnitStore, settlement: Settlement, executions: Executions, clock: Clock
    ) -> None:
        self._jobs = jobs
        self._units = units
        self._settlement = settlement
        self._executions = executions
        self._clock = clock

    def go_on(self, job: Job, step: Step) -> Step:
        """The next page of the round, or what comes after the last one."""
        outcome = outcome_of(job)
        if outcome not in _GOES_ON:
            return Step(outcome, steps=step.steps)
        seen, more = walk(self._units, job.id, round_at(step.cursor) or Round(fan_outs=job.fan_outs), self._tend)
        if more:
            return Step(Outcome.TEND, seen.cursor, step.steps + 1)
        return self._after(job, seen, step.steps + 1)

    def _tend(self, unit: Unit, seen: Round) -> Round:
        now = self._clock.now()
        overdue = is_overdue(unit, now=now)
        if seen.thorough and overdue and not self._settlement.conclude(unit):
            seen = replace(seen, fan_outs=seen.fan_outs | {unit.index})
        fan_outs = seen.fan_outs
        unit = apply_move(self._units, unit, lambda fresh: moves.due(fresh, met=fan_outs, now=now))
        if unit.status in BROKEN and unit.failure is not None:
            self._settlement.list_outputs(unit)
            self._jobs.note_failure(unit.job_id, unit.failure)
        return replace(seen, overdue=seen.overdue + overdue, under_way=seen.under_way + is_under_way(unit))

    def _after(self, job: Job, done: Round, steps: int) -> Step:
        if done.fan_outs:
            self._jobs.fanned_out(job.id, done.fan_outs)
        fresh = self._jobs.get(job.id)
        if fresh is not None and not done.thorough and lacks_consequences(fresh, done):
            return Step(Outcome.TEND, Round(thorough=True).cursor, steps)
        if steps < MOST_STEPS:
            return Step(Outcome.ADVANCE, steps=steps)
        self.hand_over(job)
        return Step(Outcome.RENEWED, steps=steps)

    def hand_over(self, job: Job) -> None:
        """Another execution goes on. It starts first: noted but not started, nobody would drive the job."""
        generation = job.generation + 1
        self._executions.start(job.id, generation=generation)
        self._jobs.hand_over(job.id, generation=generation)
