"""What a job needs next, decided from its rows alone."""

from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpupool.jobs.model import JobStatus, ReleaseWindow
from gpupool.units.decide import is_ready
from gpupool.units.model import UnitStatus
from gpupool.wire.failures import FailureCode
from gpupool.workflow.decide import (
    FAN_OUT,
    fans_out,
    has_room,
    is_overdue,
    is_to_be_watched,
    is_under_way,
    lacks_consequences,
    needs_a_whole_round,
    outcome_of,
    platform_failure,
    tended,
    wakes,
    window_after,
)
from gpupool.workflow.model import Outcome
from gpupool.workflow.rounds import Round, round_behind, round_over
from tests.factories import NOW, a_job, a_unit

BROKEN = platform_failure(a_job())


@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED])
@pytest.mark.parametrize("cancel", [None, NOW])
def test_an_ended_job_stays_as_it_ended(status: JobStatus, cancel: object) -> None:
    assert outcome_of(a_job(status=status, cancel_requested_at=cancel, broken=BROKEN)) == str(status)


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, Outcome.ADVANCE),
        ({"units_completed": 1}, Outcome.ADVANCE),
        ({"units_completed": 2}, Outcome.COMPLETED),
        ({"broken": BROKEN}, Outcome.FAILED),
        ({"closing": True}, Outcome.FAILED),
        ({"cancel_requested_at": NOW, "broken": BROKEN}, Outcome.CANCELLED),
        ({"cancel_requested_at": NOW, "closing": True}, Outcome.CANCELLED),
        ({"cancel_requested_at": NOW, "units_completed": 2}, Outcome.COMPLETED),
        ({"units_total": 0}, Outcome.ADVANCE),
        ({"fan_outs": frozenset({0})}, Outcome.TEND),
        ({"fan_outs": frozenset({0}), "broken": BROKEN}, Outcome.FAILED),
    ],
)
def test_where_a_live_job_stands(changes: dict[str, object], outcome: Outcome) -> None:
    assert outcome_of(a_job(**{"units_total": 2, "units_completed": 0} | changes)) is outcome


@pytest.mark.parametrize(("status", "needs"), list(product(UnitStatus, [frozenset(), frozenset({0})])))
def test_only_a_waiting_unit_without_open_needs_is_ready(status: UnitStatus, needs: frozenset[int]) -> None:
    unit = a_unit(status=status, open_needs=needs)
    assert is_ready(unit) is (status is UnitStatus.WAITING and not needs)


@pytest.mark.parametrize("status", JobStatus)
def test_only_a_live_job_that_waits_is_woken(status: JobStatus) -> None:
    live = status in (JobStatus.QUEUED, JobStatus.PLANNING, JobStatus.RUNNING)
    assert wakes(a_job(status=status, task_token="t", broken=BROKEN)) is live
    assert not wakes(a_job(status=status, broken=BROKEN))


def test_an_execution_is_woken_only_for_a_reason() -> None:
    assert not wakes(a_job(units_total=3, units_completed=1, task_token="t"))
    assert wakes(a_job(units_total=1, units_completed=1, task_token="t"))
    assert wakes(a_job(units_total=3, task_token="t", cancel_requested_at=NOW))
    assert wakes(a_job(units_total=3, task_token="t", fan_outs=frozenset({0})))


@pytest.mark.parametrize(
    ("changes", "due"),
    [
        ({}, False),
        ({"units_completed": 9}, False),
        ({"units_completed": 10}, True),
        ({"fan_outs": frozenset({0})}, False),
        ({"fan_outs": frozenset({0, 7})}, True),
    ],
)
def test_a_job_that_holds_units_back_is_gone_over_when_there_is_room_or_another_fan_out(
    changes: dict[str, object], due: bool
) -> None:
    held = ReleaseWindow(low=0, reach=0, refill_at=10, whole_at=NOW, high=40, held=frozenset({"cpu"}), met=frozenset({0}))
    job = a_job(**{"units_total": 100, "units_completed": 0, "window": held} | changes)
    assert (outcome_of(job) is Outcome.TEND) is due


def test_a_window_that_holds_nothing_back_waits_for_no_room() -> None:
    job = a_job(units_total=100, units_completed=50, window=ReleaseWindow(low=0, reach=0, refill_at=10, whole_at=NOW))
    assert outcome_of(job) is Outcome.ADVANCE


@pytest.mark.parametrize(("low", "held", "whole"), [(0, (), True), (0, ("cpu",), False), (7, (), False), (7, ("cpu",), False)])
def test_only_a_round_that_saw_every_unit_counts_as_one_over_everything(low: int, held: tuple[str, ...], whole: bool) -> None:
    before = ReleaseWindow(low=low, reach=0, refill_at=10, whole_at=NOW, held=frozenset(held))
    later = NOW + timedelta(minutes=15)
    done = round_behind(a_job(), before)
    assert (window_after(done, before, released=300, now=later).whole_at == later) is whole
    assert window_after(round_over(a_job()), before, released=300, now=later).whole_at == later


@pytest.mark.parametrize(
    ("under_way", "running", "room"), [(299, 0, True), (300, 0, False), (300, 200, False), (300, 201, True), (301, 201, False)]
)
def test_there_is_room_for_half_as_many_again_as_machines_work(under_way: int, running: int, room: bool) -> None:
    seen = Round(under_way={"cpu": under_way, "gpu-24": 1_000}, running={"cpu": running, "gpu-24": 1_000})
    assert has_room(seen, "cpu", released=300) is room


@given(
    released=st.integers(1, 400),
    running=st.integers(0, 5_000),
    over=st.integers(0, 400),
    counted=st.integers(0, 10_000),
)
def test_the_next_units_are_released_before_those_under_way_are_done(
    released: int, running: int, over: int, counted: int
) -> None:
    under_way = max(released, running + running // 2) + over
    done = Round(
        under_way={"cpu": under_way, "gpu-24": 9_000},
        running={"cpu": running},
        counted=counted,
        high=9,
        held=frozenset({"cpu"}),
    )
    refill_at = window_after(done, None, released=released, now=NOW).refill_at
    assert counted < refill_at <= counted + under_way


@pytest.mark.parametrize(("released", "held", "watched"), [(30, True, True), (29, True, False), (100, False, False)])
def test_a_job_of_which_much_was_just_released_is_looked_at_soon(released: int, held: bool, watched: bool) -> None:
    done = Round(under_way={"cpu": 60, "gpu-24": 40}, released=released, held=frozenset({"cpu"} if held else ()))
    assert is_to_be_watched(done) is watched


def test_the_beginning_of_a_round_passes_some_that_are_not_completed() -> None:
    seen = Round()
    for index in range(60):
        seen = tended(seen, a_unit(index, status=UnitStatus.RUNNING), overdue=False, released=False, writes=0)
    assert (seen.low, seen.stragglers) == (50, frozenset(range(50)))

    again = Round(low=50)
    again = tended(again, a_unit(7, status=UnitStatus.RUNNING), overdue=False, released=False, writes=0)
    again = tended(again, a_unit(8, status=UnitStatus.COMPLETED), overdue=False, released=False, writes=0)
    again = tended(again, a_unit(50, status=UnitStatus.COMPLETED), overdue=False, released=False, writes=0)
    assert (again.low, again.stragglers) == (51, frozenset({7}))


@pytest.mark.parametrize(
    ("changes", "after", "whole"),
    [
        ({}, timedelta(minutes=59), False),
        ({}, timedelta(minutes=61), True),
        ({"fan_outs": frozenset({0})}, timedelta(0), False),
        ({"fan_outs": frozenset({0, 1})}, timedelta(0), True),
    ],
)
def test_now_and_then_a_round_goes_over_everything(changes: dict[str, object], after: timedelta, whole: bool) -> None:
    window = ReleaseWindow(low=0, reach=0, refill_at=10, whole_at=NOW, met=frozenset({0}))
    assert needs_a_whole_round(a_job(**changes), window, now=NOW + after) is whole


def test_a_few_dependents_are_opened_at_once_and_many_by_the_execution() -> None:
    assert not fans_out(a_unit(dependents=tuple(range(1, FAN_OUT + 1))))
    assert fans_out(a_unit(dependents=tuple(range(1, FAN_OUT + 2))))


def test_a_debit_is_overdue_five_minutes_after_the_end() -> None:
    done = a_unit(status=UnitStatus.COMPLETED, finished_at=NOW)
    assert not is_overdue(done, now=NOW + timedelta(minutes=5))
    assert is_overdue(done, now=NOW + timedelta(minutes=5, seconds=1))
    assert not is_overdue(a_unit(status=UnitStatus.FAILED, finished_at=NOW), now=NOW + timedelta(hours=1))


@pytest.mark.parametrize("status", UnitStatus)
def test_what_is_under_way(status: UnitStatus) -> None:
    assert is_under_way(a_unit(status=status)) is (status in (UnitStatus.QUEUED, UnitStatus.RUNNING, UnitStatus.VALIDATING))


@pytest.mark.parametrize(
    ("changes", "seen", "lacks"),
    [
        ({}, Round(overdue=1, under_way={"cpu": 1}), False),
        ({}, Round(overdue=2, under_way={"cpu": 1}), True),
        ({}, Round(overdue=1, under_way={}), True),
        ({"broken": BROKEN}, Round(overdue=2, under_way={}), False),
        ({"fan_outs": frozenset({0})}, Round(overdue=1, under_way={}), False),
        ({"units_completed": 3}, Round(overdue=3, under_way={}), False),
    ],
)
def test_when_a_round_finds_that_consequences_are_missing(changes: dict[str, object], seen: Round, lacks: bool) -> None:
    assert lacks_consequences(a_job(**{"units_total": 3, "units_completed": 1} | changes), seen) is lacks


def test_the_platforms_failure_says_how_far_the_job_was() -> None:
    assert platform_failure(a_job(status=JobStatus.PLANNING)).code is FailureCode.PLANNING_FAILED
    assert platform_failure(a_job(status=JobStatus.RUNNING)).code is FailureCode.INTERNAL
