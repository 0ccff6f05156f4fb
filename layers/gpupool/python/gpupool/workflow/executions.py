"""One execution per training job."""

from typing import Protocol

from gpupool.workflow.model import Outcome


class Executions(Protocol):
    def start(self, job_id: str) -> None:
        """Starts the job's execution, named by the job's id; starting it twice is once."""

    def resume(self, task_token: str, outcome: Outcome) -> None:
        """Wakes the execution that waits with ``task_token``; a token that nobody waits with any more is ignored."""
