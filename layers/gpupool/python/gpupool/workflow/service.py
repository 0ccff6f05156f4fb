"""The steps of a training job's execution. Each may run twice and may die half-way: all they do is conditional or derived."""

from collections.abc import Callable

from gpupool.clock import Clock
from gpupool.errors import StaleWrite
from gpupool.jobs.model import Job, JobStatus
from gpupool.jobs.store import JobStore
from gpupool.ledger.model import release
from gpupool.planning.model import Plan
from gpupool.planning.plan import plan_stored
from gpupool.planning.pricing import quote
from gpupool.planning.to_units import units_of
from gpupool.transitions.store import Ending, Transitions
from gpupool.units import decide as moves
from gpupool.units.model import Failure, Unit, UnitStatus
from gpupool.units.store import UnitStore
from gpupool.uploads.model import UploadKind
from gpupool.uploads.store import UploadStore
from gpupool.wire.failures import FailureCode, blame_of
from gpupool.workflow.decide import first_failure, forgotten, outcome_of, unspent
from gpupool.workflow.executions import Executions
from gpupool.workflow.model import Outcome
from gpupool.workflow.settle import Settlement

_STATUS: dict[Outcome, JobStatus] = {
    Outcome.COMPLETED: JobStatus.COMPLETED,
    Outcome.FAILED: JobStatus.FAILED,
    Outcome.CANCELLED: JobStatus.CANCELLED,
}


class TrainingWorkflow:
    """Plan, advance, close. ``advance`` is the only one that releases units, and there is one execution per job."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        units: UnitStore,
        uploads: UploadStore,
        transitions: Transitions,
        executions: Executions,
        settlement: Settlement,
        clock: Clock,
    ) -> None:
        self._jobs = jobs
        self._units = units
        self._uploads = uploads
        self._transitions = transitions
        self._executions = executions
        self._settlement = settlement
        self._clock = clock

    def plan(self, job_id: str) -> Outcome:
        """Writes the job's units, once. A job that was cancelled before is not planned."""
        job = self._jobs.begin_planning(job_id)
        if job is None or job.cancel_requested_at is not None:
            return outcome_of(self._existing(job_id), ())
        planned = self._planned(job)
        if quote(planned).credits > job.quote.credits:
            # Prices rose since the submit. More than was held could not be paid, and the customer was promised this bound.
            return Outcome.FAILED
        now = self._clock.now()
        units = units_of(planned, job, now)
        self._units.add_all(units)
        self._jobs.begin_running(job_id, units_total=len(units), at=now)
        return Outcome.ADVANCE

    def advance(self, job_id: str, task_token: str, *, entered: str) -> None:
        """Releases what is ready and tends what was forgotten. Wakes the execution itself when the job is over, else
        leaves that to the outbox.

        The token is parked before the rows are read: whatever is written after the read finds the token, whatever was
        written before it is in the read. No wake-up can fall between. ``entered`` orders the waits of one execution: a late
        twin of an earlier one parks nothing, for its token is dead.
        """
        job = self._jobs.park(job_id, task_token=task_token, entered=entered)
        if job is None:
            if self._jobs.get(job_id) is None:
                self._executions.resume(task_token, Outcome.FAILED)
            return
        units = self._units.all_of(job_id)
        lost = forgotten(job, units, now=self._clock.now())
        if lost:
            for unit in lost:
                self._settlement.conclude(unit)
            job, units = self._existing(job_id), self._units.all_of(job_id)
        outcome = outcome_of(job, units)
        if outcome is not Outcome.ADVANCE:
            self._executions.resume(task_token, outcome)
            return
        for unit in units:
            self._apply(unit, lambda fresh: moves.due(fresh, now=self._clock.now()))

    def close(self, job_id: str, outcome: Outcome) -> None:
        """Ends the job: cancels what still runs, pays what was completed, returns the rest of the hold."""
        job = self._existing(job_id)
        if not job.is_live:
            return
        for unit in self._units.all_of(job_id):
            self._apply(unit, lambda fresh: None if fresh.is_final else moves.cancelled(fresh, now=self._clock.now()))
        units = self._units.all_of(job_id)
        completed = [unit for unit in units if unit.status is UnitStatus.COMPLETED]
        if job.units_completed < len(completed):
            for unit in completed:
                self._settlement.settle(unit)
        self._transitions.close(job, self._ending(job, units, outcome))

    def _planned(self, job: Job) -> Plan:
        package = self._uploads.get(job.customer_id, UploadKind.TRAINING_PACKAGE, job.package.id)
        if package is None or package.manifest is None:
            raise LookupError(f"package {job.package.id} of job {job.id} is gone though the job is live")
        return plan_stored(package.manifest, job)

    def _ending(self, job: Job, units: tuple[Unit, ...], outcome: Outcome) -> Ending:
        now = self._clock.now()
        rest = unspent(job, units)
        failure = first_failure(units) if outcome is Outcome.FAILED else None
        if outcome is Outcome.FAILED and failure is None:
            failure = _platform_failure(job)
        return Ending(
            status=_STATUS[outcome],
            failure=failure,
            release=release(customer_id=job.customer_id, job_id=job.id, amount=rest, at=now) if rest else None,
            at=now,
        )

    def _apply(self, unit: Unit, move: Callable[[Unit], Unit | None]) -> None:
        """Writes a move; a row that changed meanwhile is decided again, until there is nothing to do."""
        current: Unit | None = unit
        while current is not None:
            moved = move(current)
            if moved is None:
                return
            try:
                self._units.replace(moved)
            except StaleWrite:
                current = self._units.get(unit.id)
            else:
                return

    def _existing(self, job_id: str) -> Job:
        job = self._jobs.get(job_id)
        if job is None:
            raise LookupError(f"job {job_id} is not in the table")
        return job


def _platform_failure(job: Job) -> Failure:
    """What a customer is told when no unit failed. The step's error stays in the execution's history and the logs."""
    code = FailureCode.INTERNAL if job.status is JobStatus.RUNNING else FailureCode.PLANNING_FAILED
    message = "The platform could not finish the job; nothing unfinished was charged."
    return Failure(code=code, blame=blame_of(code), message=message)
