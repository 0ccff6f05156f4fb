"""The executions that were asked for, each stepped until it waits."""

from collections import Counter, deque

from bench.simulate.executions import Execution
from gpupool.workflow.memory import MemoryExecutions
from gpupool.workflow.service import TrainingWorkflow


class StateMachine:
    """``steps`` counts the functions that each execution called, by its name."""

    def __init__(self, asked: MemoryExecutions, workflow: TrainingWorkflow) -> None:
        self._asked = asked
        self._workflow = workflow
        self._ready: deque[Execution] = deque()
        self._executions: dict[str, Execution] = {}
        self.steps: Counter[str] = Counter()

    def next_step(self) -> Execution | None:
        """An execution that need not wait; None when all wait or have ended."""
        while self._asked.started:
            name, (job_id, generation) = self._asked.started.popitem()
            if name not in self._executions:
                self._executions[name] = Execution(job_id, generation, self._workflow)
                self._ready.append(self._executions[name])
        while self._asked.resumed:
            token, outcome = self._asked.resumed.popleft()
            execution = self._executions[token.rpartition("/")[0]]
            if execution.waits_with(token):
                execution.answer(token, outcome)
                self._ready.append(execution)
        return self._ready.popleft() if self._ready else None

    def step(self, execution: Execution) -> None:
        """Calls the function that is next."""
        self.steps[execution.name] += 1
        execution.step()
        if execution.can_step:
            self._ready.append(execution)
