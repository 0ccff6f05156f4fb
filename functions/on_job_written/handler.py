"""Stream of ``jobs``: one record per write, at least once, in order per job."""

from gpupool import bootstrap
from gpupool.jobs.model import Job
from gpupool.streams import job_change, stream_handler


def act(before: Job | None, after: Job) -> None:
    bootstrap.outbox().job_written(before, after)


handler = stream_handler(job_change, act)
