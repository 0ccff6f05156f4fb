"""The state machine: it calls one step after the other and waits where the workflow makes it wait."""

from collections import deque
from dataclasses import dataclass

from gpupool.workflow.memory import MemoryExecutions
from gpupool.workflow.model import Outcome
from gpupool.workflow.service import TrainingWorkflow


@dataclass
class Execution:
    """One job's run; ``steps`` counts the functions that it called."""

    job_id: str
    outcome: Outcome | None = None
    token: str | None = None
    steps: int = 0
    ended: bool = False

    @property
    def can_step(self) -> bool:
        return self.token is None and not self.ended

    @property
    def next_state(self) -> str:
        """The state whose function comes next."""
        if self.outcome is None:
            return "plan"
        return "advance" if self.outcome is Outcome.ADVANCE else "close"

    def step(self, workflow: TrainingWorkflow) -> None:
        self.steps += 1
        if self.outcome is None:
            self.outcome = workflow.plan(self.job_id)
        elif self.outcome is Outcome.ADVANCE:
            self.token = f"{self.job_id}/{self.steps}"
            workflow.advance(self.job_id, self.token, entered=f"{self.steps:09d}")
        else:
            workflow.close(self.job_id, self.outcome)
            self.ended = True

    def answer(self, token: str, outcome: Outcome) -> None:
        """A token that the execution does not wait with is ignored."""
        if token == self.token:
            self.token, self.outcome = None, outcome


class StateMachine:
    """All executions that were asked for."""

    def __init__(self, asked: MemoryExecutions, workflow: TrainingWorkflow) -> None:
        self._asked = asked
        self._workflow = workflow
        self._ready: deque[Execution] = deque()
        self.executions: dict[str, Execution] = {}

    def next_step(self) -> Execution | None:
        """An execution that need not wait; None when all wait or have ended."""
        while self._asked.started:
            job_id, _ = self._asked.started.popitem()
            if job_id not in self.executions:
                self.executions[job_id] = Execution(job_id)
                self._ready.append(self.executions[job_id])
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
