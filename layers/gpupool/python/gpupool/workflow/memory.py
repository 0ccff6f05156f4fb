"""Executions in memory: remembers what was asked, for tests and the simulation to play out."""

from collections import deque
from datetime import datetime

from gpupool.workflow.executions import execution_name
from gpupool.workflow.model import Outcome, Run


class MemoryExecutions:
    def __init__(self) -> None:
        # Name -> the job and its generation.
        self.started: dict[str, tuple[str, int]] = {}
        self.resumed: deque[tuple[str, Outcome]] = deque()
        # When executions ended, for whoever plays them to say.
        self.ended: dict[str, datetime] = {}

    def start(self, job_id: str, *, generation: int = 0) -> None:
        self.started.setdefault(execution_name(job_id, generation), (job_id, generation))

    def resume(self, task_token: str, outcome: Outcome) -> None:
        self.resumed.append((task_token, outcome))

    def look(self, name: str) -> Run | None:
        return Run(self.ended.get(name)) if name in self.started else None
