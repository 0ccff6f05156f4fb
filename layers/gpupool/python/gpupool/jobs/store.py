"""Where jobs are kept. A job is created and ended by transitions; in between, these few moves change it."""

from datetime import datetime
from typing import Protocol

from gpupool.jobs.model import Job, JobStatus
from gpupool.pages import Key, Page


class JobStore(Protocol):
    def get(self, job_id: str) -> Job | None:
        """A consistent read."""

    def page(self, customer_id: str, *, status: JobStatus | None, limit: int, key: Key | None) -> Page[Job]:
        """A customer's jobs, newest first."""

    def begin_planning(self, job_id: str) -> Job | None:
        """queued → planning; None when the job is further already. Repeating it while planning is fine."""

    def begin_running(self, job_id: str, *, units_total: int, at: datetime) -> Job | None:
        """planning → running; None when the job has ended. Repeating it while running changes nothing."""

    def park(self, job_id: str, *, task_token: str, entered: str) -> Job | None:
        """Notes where the execution waits and returns the job as it is after that write.

        ``entered`` is when the wait began, as text that sorts by time. None when there is no such job, or a later wait is
        noted already.
        """

    def request_cancel(self, job_id: str, *, at: datetime) -> Job | None:
        """Asks a live job to stop; None when it has ended. The first request's time stays."""
