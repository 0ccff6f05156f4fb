"""What a job needs next, decided from its rows alone."""

from itertools import product

import pytest

from gpupool.jobs.model import JobStatus
from gpupool.units.decide import is_ready
from gpupool.units.model import UnitStatus
from gpupool.workflow.decide import first_failure, outcome_of, unspent, wakes
from gpupool.workflow.model import Outcome
from tests.factories import NOW, a_job, a_unit

RUNNING = a_job(units_total=2, units_completed=0)


@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED])
@pytest.mark.parametrize("cancel", [None, NOW])
def test_an_ended_job_stays_as_it_ended(status: JobStatus, cancel: object) -> None:
    job = a_job(status=status, cancel_requested_at=cancel)
    assert outcome_of(job, (a_unit(status=UnitStatus.FAILED),)) == str(status)


@pytest.mark.parametrize(
    ("changes", "unit_status", "outcome"),
    [
        ({}, UnitStatus.QUEUED, Outcome.ADVANCE),
        ({"units_completed": 1}, UnitStatus.COMPLETED, Outcome.ADVANCE),
        ({"units_completed": 2}, UnitStatus.COMPLETED, Outcome.COMPLETED),
        ({}, UnitStatus.FAILED, Outcome.FAILED),
        ({}, UnitStatus.REJECTED, Outcome.FAILED),
        ({"cancel_requested_at": NOW}, UnitStatus.FAILED, Outcome.CANCELLED),
        ({"cancel_requested_at": NOW, "units_completed": 2}, UnitStatus.COMPLETED, Outcome.COMPLETED),
        ({"units_total": 0}, UnitStatus.WAITING, Outcome.ADVANCE),
    ],
)
def test_where_a_live_job_stands(changes: dict[str, object], unit_status: UnitStatus, outcome: Outcome) -> None:
    job = a_job(**{"units_total": 2, "units_completed": 0} | changes)
    assert outcome_of(job, (a_unit(status=unit_status),)) is outcome


def test_units_that_are_completed_but_not_debited_do_not_complete_a_job() -> None:
    units = (a_unit(0, status=UnitStatus.COMPLETED), a_unit(1, status=UnitStatus.COMPLETED))
    assert outcome_of(a_job(units_total=2, units_completed=1), units) is Outcome.ADVANCE


@pytest.mark.parametrize(("status", "needs"), list(product(UnitStatus, [frozenset(), frozenset({0})])))
def test_only_a_waiting_unit_without_open_needs_is_ready(status: UnitStatus, needs: frozenset[int]) -> None:
    unit = a_unit(status=status, open_needs=needs)
    assert is_ready(unit) is (status is UnitStatus.WAITING and not needs)


@pytest.mark.parametrize("status", JobStatus)
def test_only_a_live_job_that_waits_is_woken(status: JobStatus) -> None:
    live = status in (JobStatus.QUEUED, JobStatus.PLANNING, JobStatus.RUNNING)
    assert wakes(a_job(status=status, task_token="t"), opened=(), broken=True) is live
    assert not wakes(a_job(status=status), opened=(), broken=True)


def test_a_completed_unit_wakes_only_for_a_reason() -> None:
    job = a_job(units_total=3, units_completed=1, task_token="t")
    waiting = a_unit(status=UnitStatus.WAITING)
    assert not wakes(job, opened=(), broken=False)
    assert not wakes(job, opened=(a_unit(status=UnitStatus.WAITING, open_needs=frozenset({1})),), broken=False)
    assert not wakes(job, opened=(a_unit(status=UnitStatus.RUNNING),), broken=False)
    assert wakes(job, opened=(waiting,), broken=False)
    assert wakes(a_job(units_total=1, units_completed=1, task_token="t"), opened=(), broken=False)


def test_what_is_left_of_a_hold_is_the_quote_less_completed_units() -> None:
    units = (
        a_unit(0, status=UnitStatus.COMPLETED, credits=7),
        a_unit(1, status=UnitStatus.FAILED, credits=0),
        a_unit(2, status=UnitStatus.CANCELLED),
    )
    assert unspent(a_job(), units) == 30 - 7


def test_no_failure_without_a_broken_unit() -> None:
    assert first_failure((a_unit(), a_unit(1, status=UnitStatus.CANCELLED))) is None


def test_a_cancel_that_comes_after_the_last_unit_was_paid_changes_nothing() -> None:
    job = a_job(units_total=1, units_completed=1, cancel_requested_at=NOW)
    assert outcome_of(job, (a_unit(status=UnitStatus.COMPLETED),)) is Outcome.COMPLETED
