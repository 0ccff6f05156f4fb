"""The steps of a training job's execution. Each may run twice and may die half-way: all they do is conditional or derived.

Plan, tend and close go over the units page by page, and stop when a step has done enough, so that none grows with the job.
What a small job needs fits one step each.
"""

from collections.abc import Callable
from dataclasses import replace

from gpupool.jobs.model import Job
from gpupool.jobs.store import JobStore
from gpupool.workflow.closing import Closing
from gpupool.workflow.decide import outcome_of, platform_failure
from gpupool.workflow.executions import Executions, job_and_generation
from gpupool.workflow.model import Outcome, Step
from gpupool.workflow.planning import Planning
from gpupool.workflow.rounds import begins_a_walk
from gpupool.workflow.tending import Tending

START = Step(Outcome.PLAN)


class TrainingWorkflow:
    """Plan, tend, advance, close. There is one execution per job at a time; it waits in ``advance``."""

    def __init__(
        self, *, jobs: JobStore, executions: Executions, planning: Planning, tending: Tending, closing: Closing
    ) -> None:
        self._jobs = jobs
        self._executions = executions
        self._planning = planning
        self._tending = tending
        self._closing = closing

    def plan(self, job_id: str, step: Step = START) -> Step:
        """Writes the job's units, once, and releases those of a small job. A job that is planned already is tended instead."""
        return replace(self._plan(job_id, step), generation=step.generation)

    def _plan(self, job_id: str, step: Step) -> Step:
        job = self._jobs.begin_planning(job_id)
        if job is None:
            outcome = outcome_of(self._existing(job_id))
            return Step(Outcome.TEND if outcome is Outcome.ADVANCE else outcome, steps=step.steps)
        after = self._planning.go_on(job, step)
        if after.outcome is Outcome.TEND and not step.cursor:
            return self.tend(job_id, replace(after, generation=step.generation))
        return after

    def tend(self, job_id: str, step: Step) -> Step:
        """The next page of a round over the units. A round that fits one step is followed by another at once if need be."""

        def page(at: Step) -> Step:
            return replace(self._tending.go_on(self._existing(job_id), at), generation=step.generation)

        return self._within_a_step(Outcome.TEND, step, page)

    def advance(self, job_id: str, task_token: str, *, entered: str) -> None:
        """Waits: parks the token for whoever has something for the execution to do, and answers it at once if that is so
        already.

        The token is parked before the job is read: whatever is written after the read finds the token, whatever was
        written before it is in the read. No wake-up can fall between. What parking answers would not do, for it tells
        nothing of the counters. ``entered`` orders the waits of the executions: a late
        twin of an earlier one parks nothing, for its token is dead.
        """
        if self._jobs.park(job_id, task_token=task_token, entered=entered) is None:
            if self._jobs.get(job_id) is None:
                self._executions.resume(task_token, Outcome.FAILED)
            return
        outcome = outcome_of(self._existing(job_id))
        if outcome is not Outcome.ADVANCE:
            self._executions.resume(task_token, outcome)

    def close(self, job_id: str, outcome: Outcome, step: Step = START) -> Step:
        """Ends the next units, and after the last one the job. A job that was completed meanwhile ends as such."""

        def page(at: Step) -> Step:
            job = self._existing(job_id)
            return self._closing.go_on(job, outcome, at) if job.is_live else Step(Outcome.CLOSED, steps=at.steps)

        return self._within_a_step(Outcome.CLOSING, step, page)

    def abandon(self, execution: str) -> None:
        """An execution ended without closing its job: it ran out of time, or an operator stopped it. The job fails, and
        another execution closes it."""
        job_id, generation = job_and_generation(execution)
        job = self._jobs.get(job_id)
        if job is None or not job.is_live or job.generation > generation:
            return
        self._jobs.note_failure(job_id, platform_failure(job))
        self._tending.hand_over(job, own=generation)

    def _within_a_step(self, again: Outcome, first: Step, page: Callable[[Step], Step]) -> Step:
        """One page; and of a job whose units fit it, the second walk too, because a step costs more than it does for a few
        units."""
        after = page(first)
        if after.outcome is again and not first.cursor and begins_a_walk(after.cursor):
            return page(after)
        return after

    def _existing(self, job_id: str) -> Job:
        job = self._jobs.get(job_id)
        if job is None:
            raise LookupError(f"job {job_id} is not in the table")
        return job
