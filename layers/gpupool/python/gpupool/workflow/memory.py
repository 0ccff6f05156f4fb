"""Executions in memory: remembers what was asked, for tests and the simulation to play out."""

from collections import deque

from gpupool.workflow.executions import execution_name
from gpupool.workflow.model import Outcome


class MemoryExecutions:
    def __init__(self) -> None:
        # Name -> the job and its generation.
        self.started: dict[str, tuple[str, int]] = {}
        self.resumed: deque[tuple[str, Outcome]] = deque()

    def start(self, job_id: str, *, generation: int = 0) -> None:
        self.started.setdefault(execution_name(job_id, generation), (job_id, generation))

    def resume(self, task_token: str, outcome: Outcome) -> None:
        self.resumed.append((task_token, outcome))
