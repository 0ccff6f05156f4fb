"""Jobs in memory."""

from dataclasses import replace
from datetime import datetime

from gpupool.jobs.model import Job, JobStatus, ReleaseWindow
from gpupool.pages import Key, Page
from gpupool.units.model import Failure
from gpupool.world import World


class MemoryJobStore:
    def __init__(self, world: World) -> None:
        self._world = world

    def get(self, job_id: str) -> Job | None:
        return self._world.jobs.get(job_id)

    def page(self, customer_id: str, *, status: JobStatus | None, limit: int, key: Key | None) -> Page[Job]:
        with self._world.lock:
            jobs = sorted((job for job in self._world.jobs.values() if job.customer_id == customer_id), key=lambda job: job.id)
        before = key["job_id"] if key else None
        rows = [
            job for job in reversed(jobs) if (before is None or job.id < before) and (status is None or job.status is status)
        ]
        last = rows[limit - 1] if len(rows) > limit else None
        return Page(tuple(rows[:limit]), {"job_id": last.id} if last else None)

    def begin_planning(self, job_id: str) -> Job | None:
        with self._world.lock:
            job = self._world.jobs.get(job_id)
            if job is None or job.status not in (JobStatus.QUEUED, JobStatus.PLANNING) or job.closing:
                return None
            return self.write(replace(job, status=JobStatus.PLANNING))

    def begin_running(self, job_id: str, *, units_total: int, at: datetime) -> Job | None:
        with self._world.lock:
            job = self._world.jobs.get(job_id)
            if job is None or job.status not in (JobStatus.PLANNING, JobStatus.RUNNING) or job.closing:
                return None
            started = job.started_at or at
            return self.write(replace(job, status=JobStatus.RUNNING, units_total=units_total, started_at=started))

    def park(self, job_id: str, *, task_token: str, entered: str) -> Job | None:
        with self._world.lock:
            job = self._world.jobs.get(job_id)
            if job is None or (job.parked_at is not None and job.parked_at > entered):
                return None
            return self.write(replace(job, task_token=task_token, parked_at=entered))

    def note_failure(self, job_id: str, failure: Failure) -> None:
        with self._world.lock:
            job = self._world.jobs.get(job_id)
            if job is not None and job.is_live and job.broken is None:
                self.write(replace(job, broken=failure))

    def note_fan_out(self, job_id: str, index: int) -> None:
        with self._world.lock:
            job = self._world.jobs.get(job_id)
            if job is not None and job.is_live:
                self.write(replace(job, fan_outs=job.fan_outs | {index}))

    def fanned_out(self, job_id: str, indexes: frozenset[int]) -> None:
        with self._world.lock:
            job = self._world.jobs.get(job_id)
            if job is not None:
                self.write(replace(job, fan_outs=job.fan_outs - indexes))

    def note_window(self, job_id: str, window: ReleaseWindow) -> None:
        with self._world.lock:
            job = self._world.jobs.get(job_id)
            if job is not None and job.is_live:
                self.write(replace(job, window=window))

    def hand_over(self, job_id: str, *, generation: int) -> None:
        with self._world.lock:
            job = self._world.jobs.get(job_id)
            if job is not None and job.generation < generation:
                self.write(replace(job, generation=generation))

    def begin_closing(self, job_id: str) -> None:
        with self._world.lock:
            job = self._world.jobs.get(job_id)
            if job is not None and job.is_live and not job.closing:
                self.write(replace(job, closing=True))

    def request_cancel(self, job_id: str, *, at: datetime) -> Job | None:
        with self._world.lock:
            job = self._world.jobs.get(job_id)
            if job is None or not job.is_live:
                return None
            return self.write(replace(job, cancel_requested_at=job.cancel_requested_at or at))

    def watched(self, *, limit: int) -> tuple[str, ...]:
        with self._world.lock:
            return tuple(sorted(self._world.jobs.keys() - self._world.unwatched)[:limit])

    def unwatch(self, job_id: str) -> None:
        with self._world.lock:
            job = self._world.jobs.get(job_id)
            if job is not None and not job.is_live:
                self._world.unwatched.add(job_id)

    def write(self, job: Job) -> Job:
        """Puts a row and answers it as a move does, without the counters of a live job."""
        self._world.jobs[job.id] = job
        return replace(job, units_completed=0, credits_spent=0, progressed_at=None) if job.is_live else job
