"""A round that does again what follows from completed units, whichever of their records was given up: each is paid once, what
waited for it is opened, and no other unit is taken for it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product

from gpupool.jobs.model import Quote, ReleaseWindow
from gpupool.ledger.model import EntryKind
from gpupool.units.edges import Gate
from gpupool.units.model import Failure, Unit, UnitStatus
from gpupool.wire.failures import Blame, FailureCode
from gpupool.workflow.decide import is_overdue, writes_to_conclude
from gpupool.workflow.model import Outcome, Step
from gpupool.workflow.moves import apply_move
from gpupool.workflow.rounds import thorough_round_over
from tests.factories import NOW, a_job, a_unit
from tests.states.rooms import Crossing, Tables

MINUTE = timedelta(minutes=1)
PRICE = 3
MANY = tuple(range(1, 27))
GATHERS = tuple(range(9))
FAILED = Failure(FailureCode.SCRIPT_FAILED, Blame.USER, "no")
# As of a job that was wide once: a round notes what it has seen, and holds nothing back.
WINDOW = ReleaseWindow(low=0, reach=0, refill_at=0, whole_at=NOW)


@dataclass(frozen=True, slots=True)
class Ended:
    """A unit that others wait for."""

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
            failure=FAILED if self.status is UnitStatus.FAILED else None,
        )


def states() -> Iterator[tuple[tuple[Ended, Ended], Mapping[int, frozenset[int]]]]:
    """Two ended units, and what each of the units 3 and 4 behind them still waits for."""
    first = [
        Ended(0, dependents, minutes, paid=paid)
        for dependents, minutes, paid in product(((), (3,), (3, 4), MANY), (4, 6), (False, True))
    ]
    first.append(Ended(0, (3,), status=UnitStatus.CANCELLED))
    second = [Ended(1, dependents, minutes) for dependents, minutes in product(((), (3,), (3, 4)), (4, 6))]
    needs = (frozenset(), frozenset({0}), frozenset({1}), frozenset({0, 1}), frozenset({0, 1, 9}))
    for one, other, left, right in product(first, second, needs, needs):
        yield (one, other), {3: left, 4: right}


def in_state(ended: tuple[Ended, ...], waits: Mapping[int, frozenset[int]]) -> Tables:
    rest = [waiting(index, open_needs) for index, open_needs in waits.items()]
    tables = Tables(
        [*(each.unit for each in ended), *rest],
        job=a_job(units_total=999, window=WINDOW, quote=Quote(2_000), task_token="token"),
    )
    tables.hold()
    for each in ended:
        if each.paid:
            tables.settlement.settle(each.unit)
    return tables


def waiting(index: int, open_needs: frozenset[int]) -> Unit:
    needs = tuple(sorted(open_needs))
    return a_unit(index, status=UnitStatus.WAITING, needs=needs, open_needs=open_needs, queued_at=None)


def go_over(tables: Tables, *, released: int = 99) -> Step:
    tending, step = tables.tending(released=released), Step(Outcome.TEND, thorough_round_over(tables.job).cursor)
    while step.outcome is Outcome.TEND:
        assert step.steps < 9, "it never comes to an end"
        step = tending.go_on(tables.world.jobs[tables.job.id], step)
    return step


def test_what_a_lost_record_should_have_led_to_is_done(asked: Callable[[int], None]) -> None:
    count = 0
    for ended, waits in states():
        tables = in_state(ended, waits)
        go_over(tables)
        place = (ended, waits)
        paid = sorted(entry.unit_id or "" for entry in tables.entries(EntryKind.DEBIT))
        assert paid == [each.unit.id for each in ended if each.paid or each.is_repeated], place
        for index, open_needs in waits.items():
            told = {each.index for each in ended if each.is_repeated and (index in each.dependents)}
            row = tables.units.get(a_unit(index).id)
            assert row is not None
            assert row.open_needs == open_needs - told, place
            assert row.status is (UnitStatus.WAITING if open_needs - told else UnitStatus.QUEUED), place
        many = {each.index for each in ended if each.is_repeated and each.dependents == MANY}
        noted = tables.world.jobs[tables.job.id].window
        assert noted is not None
        assert noted.met == many, place
        count += 1
    asked(count)


def test_what_ended_otherwise_is_not_paid_and_opens_nothing() -> None:
    for status in (UnitStatus.FAILED, UnitStatus.REJECTED, UnitStatus.CANCELLED):
        failed = Ended(0, (3,), status=status)
        tables = in_state((failed,), {3: frozenset({0})})
        go_over(tables)
        assert tables.entries(EntryKind.DEBIT) == []
        assert tables.units.get(a_unit(3).id) == waiting(3, frozenset({0}))


def test_a_unit_is_overdue_minutes_after_it_was_completed(asked: Callable[[int], None]) -> None:
    ages = (None, 0, 5, 6, 600)
    for status, minutes in product(UnitStatus, ages):
        finished = None if minutes is None else NOW - minutes * MINUTE
        overdue = status is UnitStatus.COMPLETED and minutes is not None and minutes > 5
        assert is_overdue(a_unit(status=status, finished_at=finished), now=NOW) is overdue, (status, minutes)
    asked(len(UnitStatus) * len(ages))


def test_what_concluding_writes_is_known_beforehand(asked: Callable[[int], None]) -> None:
    """The debit, each gate, and each dependent unless the execution opens them."""
    count = 0
    for dependents, gathered in product((0, 1, 25, 26, 100), (0, 1, 3)):
        unit = a_unit(dependents=tuple(range(1, 1 + dependents)), gathered_by=tuple(range(200, 200 + gathered)))
        assert writes_to_conclude(unit) == 1 + gathered + (dependents if dependents <= 25 else 0)
        count += 1
    asked(count)


def test_a_thorough_step_writes_three_hundred_rows_too() -> None:
    """Two of each unit, its debit and its dependent; so that three steps pay for 350 units."""
    ended = tuple(Ended(index, (index + 350,)) for index in range(350))
    tables = in_state(ended, {index + 350: frozenset({index}) for index in range(350)})
    tending, step, paid = tables.tending(released=999), Step(Outcome.TEND, thorough_round_over(tables.job).cursor), []
    while step.outcome is Outcome.TEND:
        step = tending.go_on(tables.world.jobs[tables.job.id], step)
        paid.append(len(tables.entries(EntryKind.DEBIT)))
    assert paid == [150, 300, 350]


def test_gathering_units_are_told_by_every_lost_record() -> None:
    gathering = a_unit(10, status=UnitStatus.WAITING, needs=GATHERS, open_needs=frozenset({0}), queued_at=None)
    done = [replace(Ended(index).unit, gathered_by=(10,)) for index in GATHERS]
    tables = Tables([*done, gathering], job=a_job(units_total=99, quote=Quote(100)))
    tables.hold()
    tables.units.add_gates((Gate(gathering.id, 0, frozenset(GATHERS)),))
    go_over(tables)
    row = tables.units.get(gathering.id)
    assert row is not None
    assert (row.status, row.open_needs) == (UnitStatus.QUEUED, frozenset())


def test_a_move_is_decided_again_on_what_somebody_else_wrote_meanwhile() -> None:
    """Between its read and its write the unit is queued by another: nothing is left to do, and their row stays."""
    unit = a_unit(status=UnitStatus.WAITING, queued_at=None)
    tables = Tables([unit])
    theirs = replace(unit, status=UnitStatus.QUEUED, queued_at=NOW - MINUTE)
    crossing = Crossing(tables.units, lambda: tables.units.replace(theirs))

    def release(fresh: Unit) -> Unit | None:
        return replace(fresh, status=UnitStatus.QUEUED, queued_at=NOW) if fresh.status is UnitStatus.WAITING else None

    assert apply_move(crossing, unit, release) == tables.units.get(unit.id) == replace(theirs, version=2)
