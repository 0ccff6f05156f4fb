"""Stream of ``jobs``: one record per write, at least once, in order per job."""

from gpupool import bootstrap
from gpupool.jobs.model import Job
from gpupool.streams import Act, job_change, stream_handler


def begin() -> Act[Job]:
    return bootstrap.outbox().job_written


handler = stream_handler(job_change, begin)
