"""The executions of a training job: one at a time drives it."""

from typing import Protocol

from gpupool.workflow.model import Outcome, Run


class Executions(Protocol):
    def start(self, job_id: str, *, generation: int = 0) -> None:
        """Starts an execution of the job, named by the job's id and the generation; starting it twice is once."""

    def resume(self, task_token: str, outcome: Outcome) -> None:
        """Wakes the execution that waits with ``task_token``; a token that nobody waits with any more is ignored."""

    def look(self, name: str) -> Run | None:
        """The execution of that name; None when there never was one."""


def execution_name(job_id: str, generation: int) -> str:
    """``<job id>`` for the first, ``<job id>-<n>`` for those that go on where it left off."""
    return f"{job_id}-{generation}" if generation else job_id


def job_and_generation(name: str, *, id_length: int = 36) -> tuple[str, int]:
    """What ``execution_name`` was made of. Job ids are UUIDs and contain the separator, so their length tells them apart."""
    job_id, rest = name[:id_length], name[id_length:]
    return job_id, int(rest.removeprefix("-") or 0)
