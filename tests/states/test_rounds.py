"""Rounds over small jobs, one after the other while machines, debits and time go on between them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from random import Random

from gpupool.jobs.model import Job, ReleaseWindow
from gpupool.units.model import Failure, Unit, UnitStatus
from gpupool.wire.failures import Blame, FailureCode
from gpupool.wire.vocabulary import CapabilityClass
from gpupool.workflow.model import Outcome, Step
from tests.factories import NOW, a_job, a_lease, a_unit
from tests.states.rooms import Tables
from tests.states.rounds import round_over

MINUTE = timedelta(minutes=1)
HISTORIES, ROUNDS = 2_500, 4
# Index 0 stands for a fan-out when it has so many dependents; the others are not among these rows.
MANY = tuple(range(1, 27))
FAILED = Failure(FailureCode.SCRIPT_FAILED, Blame.USER, "no")


class History:
    """A job of a few units, and what happens to it between two rounds."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.released = self.random.choice((1, 2, 3))
        count = self.random.randint(1, 9)
        units = [self._a_unit(index) for index in range(count)]
        paid = sum(unit.status is UnitStatus.COMPLETED for unit in units)
        self.tables = Tables(units, job=a_job(units_total=99, units_completed=paid))
        self.tending = self.tables.tending(released=self.released)
        self._note_fan_out()

    @property
    def job(self) -> Job:
        job = self.tables.jobs.get(self.tables.job.id)
        assert job is not None
        return job

    @property
    def units(self) -> tuple[Unit, ...]:
        return self.tables.units.all_of(self.job.id)

    def _a_unit(self, index: int) -> Unit:
        capability = self.random.choice((CapabilityClass.CPU, CapabilityClass.CPU, CapabilityClass.GPU_8G))
        dependents = self.random.choice(((), (index + 1,), (index + 1, index + 5))) if index else self.random.choice(((), MANY))
        needs = self.random.choice(((), (0,), (0, 1))) if index > 1 else ()
        common = {"capability": capability, "dependents": dependents, "needs": needs}
        return self.random.choice(
            (
                a_unit(index, status=UnitStatus.WAITING, queued_at=None, **common),
                a_unit(index, status=UnitStatus.WAITING, queued_at=None, open_needs=frozenset(needs), **common),
                a_unit(index, queued_at=NOW, **common),
                self._running(a_unit(index, **common)),
                a_unit(index, status=UnitStatus.COMPLETED, finished_at=NOW - 10 * MINUTE, **common),
            )
        )

    def _running(self, unit: Unit) -> Unit:
        ends = self.tables.clock.now() + MINUTE if hasattr(self, "tables") else NOW + MINUTE
        attempt = self.random.choice((1, 1, 1, 1, 3))
        return replace(unit, status=UnitStatus.RUNNING, attempt=attempt, lease=a_lease(expires_at=ends), started_at=NOW)

    def go_on(self) -> None:
        """Some units are claimed, some end, are paid, opened or forgotten; and time passes."""
        self.tables.clock.advance(60 * self.random.choice((1, 4, 6, 20, 62, 200)))
        pace = self.random.choice((0.2, 0.6, 0.95))
        for unit in self.units:
            if self.random.random() < pace:
                self._move(unit)
        self._note_fan_out()

    def _move(self, unit: Unit) -> None:
        now = self.tables.clock.now()
        if unit.status is UnitStatus.QUEUED:
            self.tables.units.replace(self._running(unit))
        elif unit.status is UnitStatus.WAITING and unit.open_needs:
            self.tables.units.replace(replace(unit, open_needs=frozenset(sorted(unit.open_needs)[1:])))
        elif unit.status is UnitStatus.RUNNING:
            if self.random.random() < 0.02:
                self.tables.units.replace(replace(unit, status=UnitStatus.FAILED, lease=None, failure=FAILED, finished_at=now))
                return
            self.tables.units.replace(replace(unit, status=UnitStatus.COMPLETED, lease=None, finished_at=now))
            if self.random.random() < 0.9:
                job = self.job
                self.tables.world.jobs[job.id] = replace(job, units_completed=job.units_completed + 1, progressed_at=now)

    def _note_fan_out(self) -> None:
        first = self.units[0]
        if first.status is UnitStatus.COMPLETED and first.dependents == MANY and self.random.random() < 0.5:
            self.tables.jobs.note_fan_out(self.job.id, 0)


def test_a_round_releases_and_notes_what_it_should(asked: Callable[[int], None]) -> None:
    count, outcomes = 0, set()
    for seed in range(HISTORIES):
        history = History(seed)
        for number in range(ROUNDS):
            job, units = history.job, history.units
            if job.broken is not None:
                break
            expected = round_over(job, units, released=history.released, now=history.tables.clock.now())
            step = history.tending.go_on(job, Step(Outcome.TEND, steps=7))
            after, place = history.job, f"seed {seed}, round {number}: {job}, {units}"
            assert history.units == expected.units, place
            assert after.window == expected.window, place
            assert (after.fan_outs, after.broken) == (expected.fan_outs, expected.broken), place
            assert step.outcome is expected.outcome, place
            assert step.steps == (8 if step.outcome is Outcome.TEND else 9), place
            assert bool(step.cursor) is (step.outcome is Outcome.TEND), place
            outcomes.add(step.outcome)
            history.go_on()
            count += 1
    assert outcomes == {Outcome.TEND, Outcome.WATCH, Outcome.ADVANCE}
    asked(count)


def test_a_round_remembers_fifty_units_one_by_one_and_begins_before_the_next() -> None:
    lease = a_lease(expires_at=NOW + MINUTE)
    running = [a_unit(index, status=UnitStatus.RUNNING, attempt=1, lease=lease) for index in range(52)]
    done = [a_unit(index, status=UnitStatus.COMPLETED, finished_at=NOW) for index in (52, 53)]
    window = ReleaseWindow(low=0, reach=0, refill_at=0, whole_at=NOW)
    tables = Tables([*running, *done], job=a_job(units_total=99, window=window))

    tables.tending(released=99).go_on(tables.job, Step(Outcome.TEND))

    noted = tables.world.jobs[tables.job.id].window
    assert noted is not None
    assert (noted.low, noted.stragglers) == (50, frozenset(range(50)))


def test_a_step_writes_three_hundred_rows_and_goes_on_in_the_next() -> None:
    units = [a_unit(index, status=UnitStatus.WAITING, queued_at=None) for index in range(650)]
    tables = Tables(units, job=a_job(units_total=650))
    tending = tables.tending(released=1_000)
    step, released = Step(Outcome.TEND), []
    while step.outcome is Outcome.TEND:
        step = tending.go_on(tables.job, step)
        released.append(sum(unit.status is UnitStatus.QUEUED for unit in tables.units.all_of(tables.job.id)))
    assert (released, step.outcome, step.steps) == ([300, 600, 650], Outcome.ADVANCE, 4)


def test_a_job_that_is_to_end_has_no_more_rounds(asked: Callable[[int], None]) -> None:
    waiting = a_unit(status=UnitStatus.WAITING, queued_at=None)
    ends = (
        (a_job(cancel_requested_at=NOW), Outcome.CANCELLED),
        (a_job(broken=FAILED), Outcome.FAILED),
        (a_job(units_completed=1), Outcome.COMPLETED),
    )
    for job, outcome in ends:
        tables = Tables([waiting], job=job)
        assert tables.tending(released=8).go_on(job, Step(Outcome.TEND, steps=3)) == Step(outcome, steps=3)
        assert tables.units.all_of(job.id) == (waiting,)
    asked(len(ends))


def test_an_execution_hands_over_before_its_history_is_full() -> None:
    for steps, outcome in ((997, Outcome.ADVANCE), (998, Outcome.ADVANCE), (999, Outcome.RENEWED)):
        tables = Tables([a_unit()], job=a_job(generation=4))
        step = tables.tending(released=8).go_on(tables.job, Step(Outcome.TEND, steps=steps))
        renewed = outcome is Outcome.RENEWED
        assert step == Step(outcome, steps=1_000 if renewed else steps + 2)
        assert tables.world.jobs[tables.job.id].generation == (5 if renewed else 4)
        assert tables.executions.started == ({f"{tables.job.id}-5": (tables.job.id, 5)} if renewed else {})
