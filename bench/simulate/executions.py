"""The state machine as infra/ defines it, step by step."""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from gpupool.workflow.executions import execution_name
from gpupool.workflow.model import Outcome, Step
from gpupool.workflow.service import START, TrainingWorkflow


class At(StrEnum):
    """Where an execution stands in the state machine."""

    PLAN = "plan"
    TEND = "tend"
    ADVANCE = "advance"
    WAITING = "waiting"
    CLOSE = "close"
    ENDED = "ended"


_NEXT = {
    Outcome.PLAN: At.PLAN,
    Outcome.TEND: At.TEND,
    Outcome.ADVANCE: At.ADVANCE,
    Outcome.WATCH: At.ADVANCE,
    Outcome.RENEWED: At.ENDED,
    Outcome.CLOSED: At.ENDED,
}


class Execution:
    """One run of the state machine: Plan and Tend page by page, wait in Advance, close page by page."""

    def __init__(self, job_id: str, generation: int, workflow: TrainingWorkflow) -> None:
        self.job_id = job_id
        self.generation = generation
        self.name = execution_name(job_id, generation)
        self.at = At.PLAN
        self.tokens: list[str] = []
        self.state = replace(START, generation=generation)
        self.outcome = Outcome.ADVANCE
        self.ended_at: datetime | None = None
        # How many went well.
        self.steps = 0
        self.workflow = workflow

    @property
    def can_step(self) -> bool:
        return self.at not in (At.WAITING, At.ENDED)

    def step(self) -> None:
        if self.at is At.PLAN:
            self._go(self.workflow.plan(self.job_id, self.state))
        elif self.at is At.TEND:
            self._go(self.workflow.tend(self.job_id, self.state))
        elif self.at is At.ADVANCE:
            self.tokens.append(f"{self.name}/{len(self.tokens)}")
            self.at = At.WAITING
            self._park(len(self.tokens))
        elif self.at is At.CLOSE:
            self._go(self.workflow.close(self.job_id, self.outcome, self.state))

    def step_again(self, which: int) -> None:
        """Functions of earlier steps that run once more, long after everybody stopped waiting for them."""
        if self.tokens:
            self.workflow.plan(self.job_id)
            self.workflow.tend(self.job_id, Step(Outcome.TEND))
            self._park(which % len(self.tokens) + 1)
        if self.at is At.CLOSE or (self.at is At.ENDED and self.state.outcome is Outcome.CLOSED):
            self.workflow.close(self.job_id, self.outcome)

    def answer(self, token: str, outcome: Outcome) -> None:
        """SendTaskSuccess: a token that nobody waits with is ignored."""
        if self.waits_with(token):
            self._go(replace(self.state, outcome=outcome))

    def waits_with(self, token: str) -> bool:
        return self.at is At.WAITING and token == self.tokens[-1]

    def time_out(self) -> None:
        """The wait's own timeout: go over the units, then wait with a fresh token."""
        if self.at is At.WAITING:
            self.at = At.TEND

    def try_again(self) -> None:
        """The function that should have parked the token failed: once more, with a fresh one."""
        if self.at is At.WAITING:
            self.at = At.ADVANCE

    def fail(self) -> None:
        """A step that failed for good: on to Compensate."""
        self._go(Step(Outcome.FAILED))

    def stop(self) -> None:
        """It ran out of time, or an operator stopped it: no further step, and its job is still open."""
        self.at = At.ENDED

    def _park(self, number: int) -> None:
        # Sorts by time, as the moment does that AWS tells: a later execution's waits come after all of an earlier one's.
        entered = f"{self.generation:05d}{number:05d}"
        self.workflow.advance(self.job_id, self.tokens[number - 1], entered=entered)

    def _go(self, step: Step) -> None:
        self.state = step
        if step.outcome in _NEXT:
            self.at = _NEXT[step.outcome]
            return
        if step.outcome is not Outcome.CLOSING:
            self.outcome, self.state = step.outcome, Step(Outcome.CLOSING)
        self.at = At.CLOSE
