"""Writing a job's units, a page per step."""

from gpupool.clock import Clock
from gpupool.jobs.model import Job
from gpupool.jobs.store import JobStore
from gpupool.planning.model import Plan
from gpupool.planning.plan import plan_stored
from gpupool.planning.pricing import quote
from gpupool.planning.to_units import units_of
from gpupool.units.edges import gates_of
from gpupool.units.store import UnitStore
from gpupool.uploads.model import UploadKind
from gpupool.uploads.store import UploadStore
from gpupool.workflow.decide import outcome_of
from gpupool.workflow.model import Outcome, Step
from gpupool.workflow.rounds import PAGE


class Planning:
    def __init__(self, *, jobs: JobStore, units: UnitStore, uploads: UploadStore, clock: Clock) -> None:
        self._jobs = jobs
        self._units = units
        self._uploads = uploads
        self._clock = clock

    def go_on(self, job: Job, step: Step) -> Step:
        """Writes the next page of units. No unit is released before all are written, so that nothing can be completed whose
        dependents are not there yet."""
        outcome = outcome_of(job)
        if outcome is not Outcome.ADVANCE:
            return Step(outcome, steps=step.steps)
        planned = self._plan(job)
        if quote(planned).credits > job.quote.credits:
            # Prices rose since the submit. More than was held could not be paid, and the customer was promised this bound.
            return Step(Outcome.FAILED, steps=step.steps)
        start, total = int(step.cursor or 0), len(planned.units)
        stop = min(start + PAGE, total)
        self._write(planned, job, start, stop)
        if stop < total:
            return Step(Outcome.PLAN, str(stop), step.steps + 1)
        self._jobs.begin_running(job.id, units_total=total, at=self._clock.now())
        return Step(Outcome.TEND, steps=step.steps)

    def _write(self, planned: Plan, job: Job, start: int, stop: int) -> None:
        """Gates first: a unit that gathers and has none would never be opened."""
        units = units_of(planned, job, self._clock.now(), start=start, stop=stop)
        for unit in units:
            self._units.add_gates(gates_of(unit.id, unit.needs))
        self._units.add_all(units)

    def _plan(self, job: Job) -> Plan:
        package = self._uploads.get(job.customer_id, UploadKind.TRAINING_PACKAGE, job.package.id)
        if package is None or package.manifest is None:
            raise LookupError(f"package {job.package.id} of job {job.id} is gone though the job is live")
        return plan_stored(package.manifest, job)
