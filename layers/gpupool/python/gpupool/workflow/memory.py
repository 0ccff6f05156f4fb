"""Executions in memory: remembers what was asked, for tests and the simulation to play out."""

from collections import deque

from gpupool.workflow.model import Outcome


class MemoryExecutions:
    def __init__(self) -> None:
        self.started: dict[str, None] = {}
        self.resumed: deque[tuple[str, Outcome]] = deque()

    def start(self, job_id: str) -> None:
        self.started.setdefault(job_id)

    def resume(self, task_token: str, outcome: Outcome) -> None:
        self.resumed.append((task_token, outcome))
