"""A round that does again what follows from completed units, whichever of their records was given up: each is paid once, what
waited for it is opened, and no other unit is taken for it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

from gpupool.errors import StaleWrite
from gpupool.jobs.model import Quote, ReleaseWindow
from gpupool.ledger.model import EntryKind, Transfer
from gpupool.transitions.memory import MemoryTransitions
from gpupool.units.edges import Gate
from gpupool.units.model import Unit, UnitStatus
from gpupool.workflow.decide import is_overdue, outcome_of, writes_to_conclude
from gpupool.workflow.model import Outcome, Step
from gpupool.workflow.moves import apply_move
from gpupool.workflow.rounds import Round
from tests.factories import NOW, a_job, a_unit
from tests.states.tables import BROKEN, FAILED, MANY_DEPENDENTS, MANY_NEEDS, MINUTE, Crossing, Tables, waiting

PRICE = 3
# As of a job that was wide once: a round notes what it has seen, and holds nothing back.
WINDOW = ReleaseWindow(low=0, reach=0, refill_at=0, whole_at=NOW)
THOROUGH = Step(Outcome.TEND, Round(thorough=True).cursor)


@dataclass(frozen=True, slots=True)
class Ended:
    """A unit that others wait for, so many minutes after its end."""

    index: int
    dependents: tuple[int, ...] = ()
    minutes: int = 10
    status: UnitStatus = UnitStatus.COMPLETED
    paid: bool = False

    @property
    def is_repeated(self) -> bool:
        """Only minutes after its end a record is taken for lost."""
        return self.status is UnitStatus.COMPLETED and self.minutes > 5

    @property
    def unit(self) -> Unit:
        return a_unit(
            self.index,
            status=self.status,
            dependents=self.dependents,
            credits=PRICE,
            finished_at=NOW - self.minutes * MINUTE,
            failure=FAILED if self.status in BROKEN else None,
        )


def states() -> Iterator[tuple[tuple[Ended, Ended], Mapping[int, frozenset[int]]]]:
    """Two ended units, and what each of the units 3 and 4 behind them still waits for."""
    first = [
        Ended(0, dependents, minutes, paid=paid)
        for dependents, minutes, paid in product(((), (3,), (3, 4), MANY_DEPENDENTS), (4, 6), (False, True))
    ]
    first.append(Ended(0, (3,), status=UnitStatus.CANCELLED))
    second = [Ended(1, dependents, minutes) for dependents, minutes in product(((), (3,), (3, 4)), (4, 6))]
    needs = (frozenset(), frozenset({0}), frozenset({1}), frozenset({0, 1}), frozenset({0, 1, 9}))
    for one, other, left, right in product(first, second, needs, needs):
        yield (one, other), {3: left, 4: right}


def tables_in(ended: tuple[Ended, ...], waits: Mapping[int, frozenset[int]]) -> Tables:
    rest = [waiting(index, open_needs) for index, open_needs in waits.items()]
    job = a_job(units_total=999, window=WINDOW, quote=Quote(2_000), task_token="token")
    tables = Tables([*(each.unit for each in ended), *rest], job=job)
    tables.hold()
    for each in ended:
        if each.paid:
            tables.settlement.settle(each.unit)
    return tables


def go_over(tables: Tables, *, begin: Step = THOROUGH, released: int = 99) -> list[int]:
    """The steps of a round to its end; how many units were paid after each."""
    tending, step, paid = tables.tending(released=released), begin, []
    while step.outcome is Outcome.TEND:
        assert len(paid) < 9, "it never comes to an end"
        step = tending.go_on(tables.job, step)
        paid.append(len(tables.entries(EntryKind.DEBIT)))
    return paid


def test_what_a_lost_record_should_have_led_to_is_done(each: Any) -> None:
    for ended, waits in each(states()):
        tables = tables_in(ended, waits)
        go_over(tables)
        place = (ended, waits)
        paid = sorted(entry.unit_id or "" for entry in tables.entries(EntryKind.DEBIT))
        assert paid == [one.unit.id for one in ended if one.paid or one.is_repeated], place
        for index, open_needs in waits.items():
            told = {one.index for one in ended if one.is_repeated and index in one.dependents}
            row = tables.unit(index)
            assert row.open_needs == open_needs - told, place
            assert row.status is (UnitStatus.WAITING if open_needs - told else UnitStatus.QUEUED), place
        many = {one.index for one in ended if one.is_repeated and one.dependents == MANY_DEPENDENTS}
        assert tables.job.window is not None
        assert tables.job.window.met == many, place


def test_a_round_that_misses_debits_is_followed_by_one_that_makes_them() -> None:
    tables = tables_in((Ended(0, (3,)), Ended(1, (3,), 4)), {3: frozenset({0, 1, 9})})
    assert go_over(tables, begin=Step(Outcome.TEND)) == [0, 1]
    assert tables.unit(3).open_needs == {1, 9}


def test_units_of_a_lost_fan_out_that_are_held_back_are_released_later() -> None:
    """As those of one whose record came: two at a time, once a quarter of the eight that are under way is done."""
    dependents = tuple(range(1, 41))
    tables = tables_in((Ended(0, dependents),), {index: frozenset({0}) for index in dependents})
    go_over(tables, released=8)
    while any(unit.status is UnitStatus.WAITING for unit in tables.all_units()):
        queued = [unit for unit in tables.all_units() if unit.status is UnitStatus.QUEUED]
        assert len(queued) == 8
        for unit in queued[:2]:
            done = replace(unit, status=UnitStatus.COMPLETED, credits=PRICE, finished_at=NOW)
            tables.settlement.conclude(tables.units.replace(done))
        assert outcome_of(tables.job) is Outcome.TEND
        go_over(tables, begin=Step(Outcome.TEND), released=8)


class Crowded(MemoryTransitions):
    """Where debits meet others of the customer: so many are refused, and the next one is posted."""

    refusals = 0

    def settle(self, unit: Unit, debit: Transfer) -> bool:
        if self.refusals:
            self.refusals -= 1
            raise StaleWrite(debit.id)
        return super().settle(unit, debit)


def test_no_job_fails_because_its_debits_meet_others(each: Any) -> None:
    """Three tries, and what they do not post is a later round's. Units behind it are opened all the same."""
    for refusals in each(range(5)):
        tables = tables_in((Ended(0, (3,)),), {3: frozenset({0})})
        tables.transitions = crowded = Crowded(tables.world, tables.clock)
        crowded.refusals = refusals
        assert go_over(tables) == [1 if refusals < 3 else 0]
        assert tables.unit(3).status is UnitStatus.QUEUED
        assert go_over(tables) == [1]


def test_what_ended_otherwise_is_not_paid_and_opens_nothing(each: Any) -> None:
    for status in each((UnitStatus.FAILED, UnitStatus.REJECTED, UnitStatus.CANCELLED)):
        tables = tables_in((Ended(0, (3,), status=status),), {3: frozenset({0})})
        go_over(tables)
        assert tables.entries(EntryKind.DEBIT) == []
        assert tables.unit(3) == waiting(3, frozenset({0}))


def test_a_unit_is_overdue_minutes_after_it_was_completed(each: Any) -> None:
    for status, minutes in each(product(UnitStatus, (None, 0, 5, 6, 600))):
        finished = None if minutes is None else NOW - minutes * MINUTE
        overdue = status is UnitStatus.COMPLETED and minutes is not None and minutes > 5
        assert is_overdue(a_unit(status=status, finished_at=finished), now=NOW) is overdue, (status, minutes)


def test_what_concluding_writes_is_known_beforehand(each: Any) -> None:
    """The debit, each gate, and each dependent, or that the execution is to open them."""
    for dependents, gathered in each(product((0, 1, 25, 26, 100), (0, 1, 3))):
        unit = a_unit(dependents=tuple(range(1, 1 + dependents)), gathered_by=tuple(range(200, 200 + gathered)))
        assert writes_to_conclude(unit) == 1 + gathered + (dependents if dependents <= 25 else 1)


def test_a_thorough_step_writes_three_hundred_rows_too() -> None:
    """Two of each unit, its debit and its dependent; so that three steps pay for 350 units."""
    ended = tuple(Ended(index, (index + 350,)) for index in range(350))
    tables = tables_in(ended, {index + 350: frozenset({index}) for index in range(350)})
    assert go_over(tables) == [150, 300, 350]


def test_gathering_units_are_told_by_every_lost_record() -> None:
    gathering = waiting(10, frozenset({0}), needs=MANY_NEEDS)
    done = [replace(Ended(index).unit, gathered_by=(10,)) for index in MANY_NEEDS]
    tables = Tables([*done, gathering], job=a_job(units_total=99, quote=Quote(100)))
    tables.hold()
    tables.units.add_gates((Gate(gathering.id, 0, frozenset(MANY_NEEDS)),))
    go_over(tables)
    assert (tables.unit(10).status, tables.unit(10).open_needs) == (UnitStatus.QUEUED, frozenset())


def test_a_move_is_decided_again_on_what_somebody_else_wrote_meanwhile() -> None:
    """Between its read and its write the unit is queued by another: nothing is left to do, and their row stays."""
    tables = Tables([waiting(0)])
    theirs = replace(waiting(0), status=UnitStatus.QUEUED, queued_at=NOW - MINUTE)
    crossing: Any = Crossing(tables.units, partial(tables.units.replace, theirs))

    def release(fresh: Unit) -> Unit | None:
        return replace(fresh, status=UnitStatus.QUEUED, queued_at=NOW) if fresh.status is UnitStatus.WAITING else None

    assert apply_move(crossing, waiting(0), release) == tables.unit() == replace(theirs, version=2)
