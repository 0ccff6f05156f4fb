"""Rounds over small jobs, one after the other while machines, debits and time go on between them."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from random import Random
from typing import Any

import pytest

from gpupool.jobs.model import ReleaseWindow
from gpupool.units.model import Unit, UnitStatus
from gpupool.wire.vocabulary import CapabilityClass
from gpupool.workflow.memory import MemoryExecutions
from gpupool.workflow.model import Outcome, Step
from gpupool.workflow.rounds import Round
from tests.factories import NOW, a_job, a_lease, a_unit
from tests.states.round_rule import round_over
from tests.states.tables import FAILED, MANY_DEPENDENTS, MANY_NEEDS, MINUTE, SECOND, Tables, waiting

HISTORIES, ROUNDS = 2_500, 4


class History:
    """A job of a few units, and what happens to it between two rounds. Unit 0 may be a fan-out, whose dependents are the
    first of the others."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.released = self.random.choice((1, 2, 3))
        units = [self._a_unit(index) for index in range(self.random.randint(1, 9))]
        paid = sum(unit.status is UnitStatus.COMPLETED for unit in units)
        self.tables = Tables(units, job=a_job(units_total=99, units_completed=paid))
        self.tending = self.tables.tending(released=self.released)
        self._note_fan_out()

    def _a_unit(self, index: int) -> Unit:
        near = ((), (index + 1,), (index + 1, index + 5))
        common: dict[str, Any] = {
            "capability": self.random.choice((CapabilityClass.CPU, CapabilityClass.CPU, CapabilityClass.GPU_8G)),
            "dependents": self.random.choice(near if index else ((), MANY_DEPENDENTS)),
        }
        needs = frozenset(self.random.choice(((), (0,), (0, 1))) if index > 1 else ())
        ends = {"finished_at": NOW - 10 * MINUTE, **common}
        usual = (
            waiting(index, needs, **common),
            waiting(index, **common),
            a_unit(index, queued_at=NOW, **common),
            a_unit(index, **common, **self._running(NOW)),
            a_unit(index, status=UnitStatus.COMPLETED, **ends),
        )
        rare = (
            waiting(index, needs, **(common | {"needs": MANY_NEEDS})),
            a_unit(index, status=UnitStatus.VALIDATING, **common),
            a_unit(index, status=UnitStatus.CANCELLED, **ends),
            a_unit(index, status=UnitStatus.REJECTED, failure=FAILED, **ends) if index == 8 else usual[0],
        )
        return self.random.choice(rare if self.random.random() < 0.1 else usual)

    def _running(self, now: Any) -> dict[str, Any]:
        attempt = self.random.choice((1, 1, 1, 1, 3))
        lease = a_lease(expires_at=now + MINUTE)
        return {"status": UnitStatus.RUNNING, "attempt": attempt, "lease": lease, "started_at": now}

    def go_on(self) -> None:
        """Some units are claimed, some end, are paid, opened or forgotten; and time passes."""
        self.tables.clock.advance(60 * self.random.choice((1, 4, 6, 20, 62, 200)))
        pace = self.random.choice((0.2, 0.6, 0.95))
        for unit in self.tables.all_units():
            if self.random.random() < pace:
                self._move(unit)
        self._note_fan_out()

    def _move(self, unit: Unit) -> None:
        now, units = self.tables.clock.now(), self.tables.units
        if unit.status is UnitStatus.QUEUED:
            units.replace(replace(unit, **self._running(now)))
        elif unit.status is UnitStatus.WAITING and unit.open_needs:
            units.replace(replace(unit, open_needs=frozenset(sorted(unit.open_needs)[1:])))
        elif unit.status is UnitStatus.RUNNING:
            failed = self.random.random() < 0.02
            status = UnitStatus.FAILED if failed else UnitStatus.COMPLETED
            units.replace(replace(unit, status=status, lease=None, finished_at=now, failure=FAILED if failed else None))
            if not failed and self.random.random() < 0.9:
                self.tables.change_job(units_completed=self.tables.job.units_completed + 1, progressed_at=now)

    def _note_fan_out(self) -> None:
        first = self.tables.unit()
        if first.status is UnitStatus.COMPLETED and first.dependents == MANY_DEPENDENTS and self.random.random() < 0.5:
            self.tables.jobs.note_fan_out(self.tables.job_id, 0)


def histories() -> Iterator[tuple[History, str]]:
    """Before each of their rounds, until the job is to end."""
    for seed in range(HISTORIES):
        history = History(seed)
        for number in range(ROUNDS):
            if history.tables.job.broken is None:
                yield history, f"seed {seed}, round {number}"
                history.go_on()


def test_a_round_releases_and_notes_what_it_should(each: Any) -> None:
    outcomes = set()
    for history, name in each(histories()):
        tables = history.tables
        job, units = tables.job, tables.all_units()
        expected = round_over(job, units, released=history.released, now=tables.clock.now())
        step = history.tending.go_on(job, Step(Outcome.TEND, steps=7))
        place = f"{name}: {job}, {units}"
        assert tables.all_units() == expected.units, place
        assert tables.job.window == expected.window, place
        assert (tables.job.fan_outs, tables.job.broken) == (expected.fan_outs, expected.broken), place
        again = Round(fan_outs=expected.fan_outs, counted=job.units_completed, thorough=True).cursor
        thorough = Step(Outcome.TEND, again, steps=8)
        assert step == (thorough if expected.outcome is Outcome.TEND else Step(expected.outcome, steps=9)), place
        outcomes.add(step.outcome)
    assert outcomes == {Outcome.TEND, Outcome.WATCH, Outcome.ADVANCE}


def test_a_round_remembers_fifty_units_one_by_one_and_begins_before_the_next() -> None:
    lease = a_lease(expires_at=NOW + MINUTE)
    running = [a_unit(index, status=UnitStatus.RUNNING, attempt=1, lease=lease) for index in range(52)]
    done = [a_unit(index, status=UnitStatus.COMPLETED, finished_at=NOW) for index in (52, 53)]
    window = ReleaseWindow(low=0, reach=0, refill_at=0, whole_at=NOW)
    tables = Tables([*running, *done], job=a_job(units_total=99, window=window))

    tables.tending(released=99).go_on(tables.job, Step(Outcome.TEND))

    noted = tables.job.window
    assert noted is not None
    assert (noted.low, noted.stragglers) == (50, frozenset(range(50)))


def test_a_step_writes_three_hundred_rows_and_goes_on_in_the_next() -> None:
    tables = Tables([waiting(index) for index in range(650)], job=a_job(units_total=650))
    tending = tables.tending(released=1_000)
    step, released = Step(Outcome.TEND), []
    while step.outcome is Outcome.TEND:
        step = tending.go_on(tables.job, step)
        released.append(sum(unit.status is UnitStatus.QUEUED for unit in tables.all_units()))
    assert (released, step.outcome, step.steps) == ([300, 600, 650], Outcome.ADVANCE, 4)


def test_a_round_that_has_released_enough_looks_no_further_than_others_were_opened(each: Any) -> None:
    """Of a wide job. It reads pages of 300 units, here from the tenth; and finds what was forgotten on those that it reads."""
    for reach, further in each(((0, False), (309, False), (310, True))):
        done = [a_unit(index, status=UnitStatus.COMPLETED, finished_at=NOW) for index in range(10)]
        rest = [waiting(index) for index in range(10, 700)]
        lease = a_lease(expires_at=NOW - 11 * MINUTE)
        rest[490] = a_unit(500, status=UnitStatus.RUNNING, attempt=1, lease=lease)
        window = ReleaseWindow(low=10, reach=reach, refill_at=10, whole_at=NOW, high=10, held=frozenset({"cpu"}))
        tables = Tables([*done, *rest], job=a_job(units_total=700, units_completed=10, window=window))
        tables.tending(released=8).go_on(tables.job, Step(Outcome.TEND))
        released = [unit.index for unit in tables.all_units() if unit.status is UnitStatus.QUEUED]
        assert released == [*range(10, 18), *([500] if further else [])]


def test_a_job_that_is_to_end_has_no_more_rounds(each: Any) -> None:
    ends = (
        (a_job(cancel_requested_at=NOW), Outcome.CANCELLED),
        (a_job(broken=FAILED), Outcome.FAILED),
        (a_job(units_completed=1), Outcome.COMPLETED),
    )
    for job, outcome in each(ends):
        tables = Tables([waiting(0)], job=job)
        assert tables.tending(released=8).go_on(job, Step(Outcome.TEND, steps=3)) == Step(outcome, steps=3)
        assert tables.all_units() == (waiting(0),)


def test_an_execution_hands_over_before_its_history_is_full(each: Any) -> None:
    for steps, outcome in each(((997, Outcome.ADVANCE), (998, Outcome.ADVANCE), (999, Outcome.RENEWED))):
        tables = Tables([a_unit()], job=a_job(generation=4))
        step = tables.tending(released=8).go_on(tables.job, Step(Outcome.TEND, steps=steps))
        renewed = outcome is Outcome.RENEWED
        assert step == Step(outcome, steps=1_000 if renewed else steps + 2)
        assert tables.job.generation == (5 if renewed else 4)
        assert tables.executions.started == ({f"{tables.job_id}-5": (tables.job_id, 5)} if renewed else {})


def test_who_hands_over_twice_starts_one_execution(each: Any) -> None:
    """Its answer was lost, and so it did not hear that it has; or the note was, and the next one runs without it."""
    for noted, own in each(product((4, 5, 6), (4, 5))):
        tables = Tables([a_unit()], job=a_job(generation=noted))
        tending, full = tables.tending(released=8), Step(Outcome.TEND, steps=999, generation=own)
        for _ in range(2):
            assert tending.go_on(tables.job, full).outcome is Outcome.RENEWED
        next_one = {f"{tables.job_id}-{own + 1}": (tables.job_id, own + 1)}
        assert tables.executions.started == ({} if noted > own else next_one)
        assert tables.job.generation == max(noted, own + 1)


def test_an_execution_that_could_not_be_started_is_not_noted() -> None:
    """Noted but not started, nobody would drive the job."""

    class Refusing(MemoryExecutions):
        def start(self, job_id: str, *, generation: int = 0) -> None:
            raise ConnectionError

    tables = Tables([a_unit()])
    tables.executions = Refusing()
    with pytest.raises(ConnectionError):
        tables.tending(released=8).hand_over(tables.job, own=0)
    assert tables.job.generation == 0


def test_a_lapsed_lease_is_left_to_whoever_hears_its_bell_for_ten_minutes() -> None:
    """To the second."""
    lease = a_lease(expires_at=NOW - 10 * MINUTE)
    unit = a_unit(status=UnitStatus.RUNNING, attempt=1, lease=lease)
    tables = Tables([unit])
    tables.tending(released=8).go_on(tables.job, Step(Outcome.TEND))
    assert tables.unit() == unit
    tables.clock.advance(SECOND.total_seconds())
    tables.tending(released=8).go_on(tables.job, Step(Outcome.TEND))
    assert tables.unit().status is UnitStatus.QUEUED
