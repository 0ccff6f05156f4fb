"""Training jobs as their owner sees them. Another customer's id does not exist here."""

from datetime import datetime, timedelta

from gpupool.clock import Clock
from gpupool.errors import Conflict, NotFound
from gpupool.events.model import Event
from gpupool.events.store import EventStore
from gpupool.jobs.model import Job, JobStatus
from gpupool.jobs.store import JobStore
from gpupool.jobs.submit import Submissions
from gpupool.objects.store import URL_SECONDS, ObjectStore
from gpupool.pages import Key, Page
from gpupool.units.artifacts import Artifact, Artifacts
from gpupool.units.model import Unit
from gpupool.units.store import UnitStore


class Jobs:
    def __init__(
        self,
        *,
        jobs: JobStore,
        units: UnitStore,
        events: EventStore,
        submissions: Submissions,
        objects: ObjectStore,
        clock: Clock,
    ) -> None:
        self._jobs = jobs
        self._units = units
        self._artifacts = Artifacts(units)
        self._events = events
        self._objects = objects
        self._clock = clock
        self.submit, self.quote = submissions.submit, submissions.quote

    def get(self, customer_id: str, job_id: str) -> Job:
        job = self._jobs.get(job_id)
        if job is None or job.customer_id != customer_id:
            raise NotFound("There is no training job with this id.", code="JOB_NOT_FOUND")
        return job

    def list(self, customer_id: str, *, status: JobStatus | None, limit: int, key: Key | None) -> Page[Job]:
        return self._jobs.page(customer_id, status=status, limit=limit, key=key)

    def cancel(self, customer_id: str, job_id: str) -> Job:
        """Asks a live job to stop; asking again changes nothing. What was completed before stays paid."""
        asked = self._jobs.request_cancel(self.get(customer_id, job_id).id, at=self._clock.now())
        job = self.get(customer_id, job_id)
        if asked is None:
            raise Conflict(f"The job is {job.status} already; only a live job can be cancelled.", code="JOB_NOT_CANCELLABLE")
        return job

    def units(self, customer_id: str, job_id: str, *, limit: int, key: Key | None) -> Page[Unit]:
        return self._units.page(self.get(customer_id, job_id).id, limit=limit, key=key)

    def artifacts(self, customer_id: str, job_id: str, *, limit: int, key: Key | None) -> Page[Artifact]:
        """What ended units left behind. A page may hold fewer than ``limit``, or none, and still have a next key."""
        return self._artifacts.page(self.get(customer_id, job_id).id, limit=limit, key=key)

    def events(self, customer_id: str, job_id: str, *, limit: int, key: Key | None) -> Page[Event]:
        """What happened to the job, oldest first."""
        return self._events.page(self.get(customer_id, job_id).id, limit=limit, key=key)

    def download_url(self, customer_id: str, job_id: str, artifact_id: str) -> tuple[str, datetime]:
        """A URL for one artifact and when it expires."""
        artifact = self._artifacts.get(self.get(customer_id, job_id).id, artifact_id)
        if artifact is None:
            raise NotFound("There is no artifact with this id on the job.", code="ARTIFACT_NOT_FOUND")
        expires_at = self._clock.now() + timedelta(seconds=URL_SECONDS)
        url = self._objects.presign_get(artifact.key, filename=artifact.name, expires_seconds=URL_SECONDS)
        return url, expires_at
