"""What must happen because a row was written. Delivered at least once, in order per row, so every act may be repeated."""

from gpupool.dispatch.queue import Queue
from gpupool.events.service import Announcer
from gpupool.jobs.model import Job, JobStatus
from gpupool.jobs.store import JobStore
from gpupool.units.model import Unit, UnitStatus
from gpupool.wire.joining import Doorbell
from gpupool.workflow.decide import BROKEN, outcome_of, wakes
from gpupool.workflow.executions import Executions
from gpupool.workflow.settle import Opened, Settlement


class Outbox:
    def __init__(
        self, *, jobs: JobStore, queue: Queue, executions: Executions, settlement: Settlement, announcer: Announcer
    ) -> None:
        self._jobs = jobs
        self._queue = queue
        self._executions = executions
        self._settlement = settlement
        self._announcer = announcer

    def job_written(self, before: Job | None, after: Job) -> None:
        """Moves the job on, then tells of it: a timeline may be late, work may not."""
        self._move_job(before, after)
        self._announcer.job_written(before, after)

    def unit_written(self, before: Unit | None, after: Unit) -> None:
        """Moves the unit and its job on, then tells of it."""
        self._move_unit(before, after)
        self._announcer.unit_written(before, after)

    def _move_job(self, before: Job | None, after: Job) -> None:
        """A new job starts its execution; a cancel wakes it. One that does not wait yet sees the cancel by itself."""
        if before is None and after.status is JobStatus.QUEUED:
            self._executions.start(after.id)
        elif after.cancel_requested_at is not None and (before is None or before.cancel_requested_at is None):
            self._wake(after.id)

    def _move_unit(self, before: Unit | None, after: Unit) -> None:
        """A queued unit rings its bell, a completed one is paid and opens what needs it, a broken one ends the job."""
        if before is not None and (before.status, before.rung_at) == (after.status, after.rung_at):
            return
        if after.status is UnitStatus.QUEUED:
            self._ring(after)
        elif after.status is UnitStatus.COMPLETED:
            self._conclude(after)
        elif after.status in BROKEN and after.failure is not None:
            self._jobs.note_failure(after.job_id, after.failure)
            self._wake(after.job_id)

    def _ring(self, unit: Unit) -> None:
        bell = Doorbell(job_id=unit.job_id, unit_id=unit.id, attempt=unit.attempt)
        url = self._queue.queue_url(unit.pool, unit.capability)
        self._queue.ring(url, bell, group=unit.customer_id)

    def _conclude(self, unit: Unit) -> None:
        """The execution is woken only when it has something to do: at the end, when there is room for units that were held
        back, or when more are to be opened than one record may take time for. A unit that has queued another of its class was
        neither the last nor makes room."""
        opened = self._settlement.conclude(unit)
        if opened is not Opened.SOME:
            self._wake(unit.job_id)

    def _wake(self, job_id: str) -> None:
        job = self._jobs.get(job_id)
        if job is not None and job.task_token is not None and wakes(job):
            self._executions.resume(job.task_token, outcome_of(job))
