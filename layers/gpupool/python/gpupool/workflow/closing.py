"""Ending a job, some pages of units per step: cancels what runs, pays what was completed, returns the rest of the hold."""

from dataclasses import replace

from gpupool.clock import Clock
from gpupool.errors import StaleWrite
from gpupool.jobs.model import Job, JobStatus
from gpupool.jobs.store import JobStore
from gpupool.ledger.model import release
from gpupool.transitions.store import Ending, Transitions
from gpupool.units import decide as moves
from gpupool.units.model import Failure, Unit, UnitStatus
from gpupool.units.store import UnitStore
from gpupool.workflow.decide import BROKEN, outcome_of, platform_failure
from gpupool.workflow.model import Outcome, Step
from gpupool.workflow.moves import apply_move
from gpupool.workflow.rounds import Round, round_at, walk
from gpupool.workflow.settle import Settlement

_STATUS: dict[Outcome, JobStatus] = {
    Outcome.COMPLETED: JobStatus.COMPLETED,
    Outcome.FAILED: JobStatus.FAILED,
    Outcome.CANCELLED: JobStatus.CANCELLED,
}


class Closing:
    def __init__(
        self, *, jobs: JobStore, units: UnitStore, transitions: Transitions, settlement: Settlement, clock: Clock
    ) -> None:
        self._jobs = jobs
        self._units = units
        self._transitions = transitions
        self._settlement = settlement
        self._clock = clock

    def go_on(self, job: Job, outcome: Outcome, step: Step) -> Step:
        """Ends the next units, and after the last one the job."""
        if outcome_of(job) is Outcome.COMPLETED:
            return self._end(job, Outcome.COMPLETED, step)
        walked = round_at(step.cursor)
        if walked is None:
            self._jobs.begin_closing(job.id)
            walked = Round()
        walked, more = walk(self._units, job.id, walked, self._end_unit)
        if more:
            return Step(Outcome.CLOSING, walked.cursor, step.steps + 1)
        return self._after(job, outcome, walked, step)

    def _end_unit(self, unit: Unit, walked: Round) -> Round:
        now = self._clock.now()
        ended = apply_move(self._units, unit, lambda fresh: None if fresh.is_final else moves.cancelled(fresh, now=now))
        walked = replace(walked, writes=walked.writes + (ended is not unit or walked.thorough))
        if ended.status in BROKEN:
            broke = (str(ended.finished_at), ended.id)
            return replace(walked, broke_first=min(broke, walked.broke_first or broke))
        if ended.status is not UnitStatus.COMPLETED:
            return walked
        if walked.thorough:
            self._settlement.settle(ended)
        return replace(walked, overdue=walked.overdue + 1)

    def _after(self, job: Job, outcome: Outcome, walked: Round, step: Step) -> Step:
        """Every unit has ended now, and none is added: what was completed is exact, and so is what it cost once it is paid."""
        fresh = self._jobs.get(job.id) or job
        if fresh.units_completed < walked.overdue and not walked.thorough:
            return Step(Outcome.CLOSING, Round(thorough=True).cursor, step.steps + 1)
        # The last debits may have come meanwhile, or by this very walk: what is done and paid is completed.
        done = outcome_of(fresh) is Outcome.COMPLETED
        return self._end(fresh, Outcome.COMPLETED if done else outcome, step, broken=walked.broke_first)

    def _end(self, job: Job, outcome: Outcome, step: Step, *, broken: tuple[str, str] | None = None) -> Step:
        if not self._transitions.close(job, self._ending(job, outcome, broken)):
            fresh = self._jobs.get(job.id)
            if fresh is not None and fresh.is_live:
                # A unit was paid after the job was read, so the rest of the hold is another.
                raise StaleWrite(job.id)
        return Step(Outcome.CLOSED, steps=step.steps)

    def _ending(self, job: Job, outcome: Outcome, broken: tuple[str, str] | None) -> Ending:
        now = self._clock.now()
        rest = job.quote.credits - job.credits_spent
        return Ending(
            status=_STATUS[outcome],
            failure=self._failure(job, broken) if outcome is Outcome.FAILED else None,
            release=release(customer_id=job.customer_id, job_id=job.id, amount=rest, at=now) if rest else None,
            at=now,
        )

    def _failure(self, job: Job, broken: tuple[str, str] | None) -> Failure:
        """That of the unit which failed first; the job's own note is of the one that was heard of first."""
        first = self._units.get(broken[1]) if broken else None
        return (first.failure if first else None) or job.broken or platform_failure(job)
