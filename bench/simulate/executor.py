"""Step Functions: steps that fail and are tried again, answers that get lost, waits that time out."""

from functools import partial
from random import Random

from bench.simulate.executions import At, Execution
from bench.simulate.faults import Faults
from bench.simulate.loop import Loop
from bench.simulate.violations import expect
from gpupool.workflow import rounds, tending
from gpupool.workflow.model import Outcome, Run
from gpupool.workflow.service import TrainingWorkflow
from gpupool.world import World

_WAKE_AFTER, _LOOK_AFTER = 900.0, 60.0
# As the state machine says: further tries of a step that failed. Closing is tried until it is done.
_TRIES = 3
# Steps that end a job, or plan it, count for little.
_BESIDE = 2


class Executor:
    """The port to the executions, and what runs them."""

    workflow: TrainingWorkflow

    def __init__(self, random: Random, loop: Loop, faults: Faults, world: World) -> None:
        self._random, self._loop, self._faults, self._world = random, loop, faults, world
        self.all: dict[str, Execution] = {}
        self.running: set[str] = set()
        self._tries: dict[str, int] = {}
        self._scheduled: set[str] = set()

    def start(self, job_id: str, *, generation: int = 0) -> None:
        execution = Execution(job_id, generation, self.workflow)
        if execution.name not in self.all:
            self.all[execution.name] = execution
            self.running.add(execution.name)
            self._soon(execution)

    def resume(self, task_token: str, outcome: Outcome) -> None:
        if not self._faults.happens("wake_lost"):
            delay = self._random.uniform(0.01, 0.3)
            self._loop.after(delay, "answer", f"{task_token} {outcome}", partial(self._answer, task_token, outcome))

    def look(self, name: str) -> Run | None:
        execution = self.all.get(name)
        return None if execution is None else Run(execution.ended_at)

    def _answer(self, token: str, outcome: Outcome) -> None:
        execution = self.all[token.rpartition("/")[0]]
        execution.answer(token, outcome)
        self._soon(execution)

    def _soon(self, execution: Execution, seconds: float = 0.1) -> None:
        if execution.can_step and execution.name not in self._scheduled:
            self._scheduled.add(execution.name)
            self._loop.after(seconds, f"step {execution.at}", execution.name, partial(self._step, execution))

    def _step(self, execution: Execution) -> None:
        self._scheduled.discard(execution.name)
        if not execution.can_step:
            return
        if self._faults.happens("stopped"):
            execution.stop()
            execution.ended_at = self._loop.clock.moment
            self.running.discard(execution.name)
            self._loop.after(self._random.uniform(0.5, 30), "stopped", execution.name, partial(self._abandon, execution))
            return
        step = execution.at
        window = self._world.jobs[execution.job_id].window
        before = self._faults.calls["units.replace"]
        done, _ = self._faults.run(execution.step)
        most = rounds.PAGE + (len(window.stragglers) if window is not None else 0)
        self._check_size(execution, self._faults.calls["units.replace"] - before, most=most)
        if done:
            self._tries[execution.name] = 0
            execution.steps += 1
        else:
            self._failed(execution, step)
        if self._faults.happens("step_again"):
            late = self._random.uniform(0, self._random.choice((1, 1_000)))
            which = self._random.randrange(1_000)
            self._loop.after(late, "step twice", execution.name, partial(self._step_again, execution, which))
        self._follow(execution)

    def _check_size(self, execution: Execution, writes: int, *, most: int) -> None:
        """A step has seconds, not minutes: it moves a page of units, and what had stayed behind the others.

        Asked where steps are alone, for of several at once nobody knows whose writes they were.
        """
        alone = not self._loop.crowding
        expect(not alone or writes <= most, "a step writes no more than it has time for", (execution.name, writes, most))

    def _failed(self, execution: Execution, step: At) -> None:
        """Tried again, an Advance with a fresh token; after the last try the job is compensated."""
        if step is At.ADVANCE and execution.at is not At.WAITING:
            return  # its token had been parked, and was answered before it failed
        tries = self._tries[execution.name] = self._tries.get(execution.name, 0) + 1
        if step is At.CLOSE:
            return
        if tries > _TRIES:
            self._loop.note("step given up", execution.name)
            execution.fail()
        else:
            execution.try_again()

    def _follow(self, execution: Execution) -> None:
        if execution.at is At.WAITING:
            most = tending.MOST_STEPS + _BESIDE
            expect(execution.steps <= most, "an execution hands over before its history is full", (execution.name, most))
            token = execution.tokens[-1]
            seconds = _LOOK_AFTER if execution.state.outcome is Outcome.WATCH else _WAKE_AFTER
            self._loop.after(seconds, "wait over", token, partial(self._time_out, execution, token))
        elif execution.at is At.ENDED:
            execution.ended_at = self._loop.clock.moment
            self.running.discard(execution.name)
        else:
            self._soon(execution, 2.0 ** min(self._tries.get(execution.name, 0), 6) - 0.9)

    def _time_out(self, execution: Execution, token: str) -> None:
        if execution.waits_with(token):
            execution.time_out()
            self._soon(execution)

    def _abandon(self, execution: Execution) -> None:
        """The rule that hears of executions which ended without closing their job."""
        done, _ = self._faults.run(partial(self.workflow.abandon, execution.name))
        if not done:
            self._loop.after(60, "stopped", execution.name, partial(self._abandon, execution))

    def _step_again(self, execution: Execution, which: int) -> None:
        self._faults.run(partial(execution.step_again, which))
