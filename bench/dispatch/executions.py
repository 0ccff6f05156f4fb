"""The state machine as infra/ defines it: pages of Plan and Tend, the wait in Advance, pages of closing."""

from collections import deque
from dataclasses import dataclass, replace
from enum import StrEnum

from gpupool.workflow.memory import MemoryExecutions
from gpupool.workflow.model import Outcome, Step
from gpupool.workflow.service import START, TrainingWorkflow


class At(StrEnum):
    """Where an execution stands; all but the last two are functions that come next."""

    PLAN = "plan"
    TEND = "tend"
    ADVANCE = "advance"
    CLOSE = "close"
    WAITING = "waiting"
    ENDED = "ended"


_NEXT = {
    Outcome.PLAN: At.PLAN,
    Outcome.TEND: At.TEND,
    Outcome.ADVANCE: At.ADVANCE,
    Outcome.RENEWED: At.ENDED,
    Outcome.CLOSED: At.ENDED,
}


@dataclass
class Execution:
    """One run for a job; ``steps`` counts the functions that it called."""

    job_id: str
    name: str
    at: At = At.PLAN
    state: Step = START
    outcome: Outcome = Outcome.ADVANCE
    token: str = ""
    steps: int = 0

    @property
    def can_step(self) -> bool:
        return self.at not in (At.WAITING, At.ENDED)

    def step(self, workflow: TrainingWorkflow) -> None:
        self.steps += 1
        if self.at is At.PLAN:
            self._go(workflow.plan(self.job_id, self.state))
        elif self.at is At.TEND:
            self._go(workflow.tend(self.job_id, self.state))
        elif self.at is At.CLOSE:
            self._go(workflow.close(self.job_id, self.outcome, self.state))
        elif self.at is At.ADVANCE:
            self.at, self.token = At.WAITING, f"{self.name}/{self.steps}"
            workflow.advance(self.job_id, self.token, entered=f"{self.name}{self.steps:09d}")

    def answer(self, token: str, outcome: Outcome) -> None:
        """A token that the execution does not wait with is ignored."""
        if self.at is At.WAITING and token == self.token:
            self._go(replace(self.state, outcome=outcome))

    def _go(self, step: Step) -> None:
        self.state = step
        if step.outcome in _NEXT:
            self.at = _NEXT[step.outcome]
            return
        if step.outcome is not Outcome.CLOSING:
            self.outcome, self.state = step.outcome, Step(Outcome.CLOSING)
        self.at = At.CLOSE


class StateMachine:
    """All executions that were asked for, by name."""

    def __init__(self, asked: MemoryExecutions, workflow: TrainingWorkflow) -> None:
        self._asked = asked
        self._workflow = workflow
        self._ready: deque[Execution] = deque()
        self.executions: dict[str, Execution] = {}

    def next_step(self) -> Execution | None:
        """An execution that need not wait; None when all wait or have ended."""
        while self._asked.started:
            name, (job_id, _) = self._asked.started.popitem()
            if name not in self.executions:
                self.executions[name] = Execution(job_id, name)
                self._ready.append(self.executions[name])
        while self._asked.resumed:
            self._answer(*self._asked.resumed.popleft())
        return self._ready.popleft() if self._ready else None

    def step(self, execution: Execution) -> None:
        """Calls the function that is next."""
        execution.step(self._workflow)
        if execution.can_step:
            self._ready.append(execution)

    def _answer(self, token: str, outcome: Outcome) -> None:
        execution = self.executions[token.partition("/")[0]]
        waited = not execution.can_step
        execution.answer(token, outcome)
        if waited and execution.can_step:
            self._ready.append(execution)
