"""Where jobs are kept. A job is created and ended by transitions; in between, these few moves change it.

What a move answers tells nothing of what a live job has paid for, ``units_completed``, ``credits_spent`` and ``progressed_at``:
who decides on them reads the job afterwards.
"""

from datetime import datetime
from typing import Protocol

from gpupool.jobs.model import Job, JobStatus, ReleaseWindow
from gpupool.pages import Key, Page
from gpupool.units.model import Failure


class JobStore(Protocol):
    def get(self, job_id: str) -> Job | None:
        """A consistent read; what was paid before it is counted."""

    def page(self, customer_id: str, *, status: JobStatus | None, limit: int, key: Key | None) -> Page[Job]:
        """A customer's jobs, newest first."""

    def begin_planning(self, job_id: str) -> Job | None:
        """queued → planning; None when the job is further already or being closed. Repeating it while planning is fine."""

    def begin_running(self, job_id: str, *, units_total: int, at: datetime) -> Job | None:
        """planning → running; None when the job has ended or is being closed. Repeating it while running changes nothing."""

    def park(self, job_id: str, *, task_token: str, entered: str) -> Job | None:
        """Notes where the execution waits and returns the row as it is after that write.

        ``entered`` is when the wait began, as text that sorts by time. None when there is no such job, or a later wait is
        noted already.
        """

    def note_failure(self, job_id: str, failure: Failure) -> None:
        """Notes why a live job cannot succeed; the first note stays. Nothing when it has ended."""

    def note_fan_out(self, job_id: str, index: int) -> None:
        """Notes that the dependents of a completed unit are to be opened by the execution."""

    def fanned_out(self, job_id: str, indexes: frozenset[int]) -> None:
        """Takes notes of ``note_fan_out`` back, once their dependents are open."""

    def note_window(self, job_id: str, window: ReleaseWindow) -> None:
        """Notes how far a round released the job's units; the last one to do so counts."""

    def hand_over(self, job_id: str, *, generation: int) -> None:
        """Notes the execution that drives the job from now on; an earlier one changes nothing."""

    def begin_closing(self, job_id: str) -> None:
        """Keeps a plan that is still being written from adding units. Nothing when the job has ended."""

    def request_cancel(self, job_id: str, *, at: datetime) -> Job | None:
        """Asks a live job to stop; None when it has ended. The first request's time stays."""

    def watched(self, *, limit: int) -> tuple[str, ...]:
        """Ids of jobs that are live, or have ended and were not unwatched yet, the oldest first; may lag by moments."""

    def unwatch(self, job_id: str) -> None:
        """Takes an ended job out of ``watched``, for good; a live one stays. Doing it twice is doing it once."""
