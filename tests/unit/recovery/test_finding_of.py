"""What counts as a finding, unit by unit: only what is old enough and proven."""

from datetime import timedelta
from typing import Any

import pytest

from gpupool.jobs.model import LIVE, JobStatus
from gpupool.recovery import decide
from gpupool.recovery.model import Evidence, Finding
from gpupool.units.model import FINAL, Unit, UnitStatus
from tests.factories import NOW, a_job, a_lease, a_unit

MINUTE = timedelta(minutes=1)
SILENT = Evidence(bells=0)


def queued(**changes: Any) -> Unit:
    return a_unit(**({"queued_at": NOW} | changes))


def running(**changes: Any) -> Unit:
    return a_unit(status=UnitStatus.RUNNING, attempt=1, lease=a_lease(), **changes)


WAITING = a_unit(status=UnitStatus.WAITING, queued_at=None)
BLOCKED = a_unit(status=UnitStatus.WAITING, queued_at=None, needs=(1,), open_needs=frozenset({1}))
DONE = a_unit(status=UnitStatus.COMPLETED, finished_at=NOW)
LAST_TOLD = NOW + 5 * MINUTE

# unit, evidence, what it is, and the last minute in which it is left alone
CASES = [
    (queued(), SILENT, Finding.QUEUED_WITHOUT_MESSAGE, 10),
    (queued(rung_at=LAST_TOLD), SILENT, Finding.QUEUED_WITHOUT_MESSAGE, 15),
    (running(), SILENT, Finding.LEASE_WITHOUT_NODE, 15),
    (WAITING, Evidence(ready_since=NOW), Finding.READY_NOT_RELEASED, 30),
    (DONE, Evidence(paid=False), Finding.COMPLETED_WITHOUT_DEBIT, 10),
    (DONE, Evidence(paid=False, awaited=True), Finding.COMPLETED_WITHOUT_DEBIT, 10),
    (DONE, Evidence(awaited=True), Finding.NEED_NOT_OPENED, 10),
]


@pytest.mark.parametrize(("unit", "evidence", "finding", "minutes"), CASES)
def test_it_is_one_when_it_is_old_enough_and_its_job_is_live(
    unit: Unit, evidence: Evidence, finding: Finding, minutes: int
) -> None:
    young, old = NOW + minutes * MINUTE, NOW + minutes * MINUTE + timedelta(seconds=1)
    for status in JobStatus:
        job = a_job(status=status)
        assert decide.finding_of(unit, job, young, evidence) is None
        assert decide.finding_of(unit, job, old, evidence) == (finding if status in LIVE else None)


@pytest.mark.parametrize(
    ("unit", "evidence"),
    [
        (queued(), Evidence(bells=1)),
        (running(), Evidence(bells=1)),
        (queued(), Evidence()),
        (running(), Evidence()),
        (WAITING, Evidence()),
        (BLOCKED, Evidence(bells=0, ready_since=NOW)),
        (DONE, Evidence()),
        *((a_unit(status=status), Evidence(bells=0)) for status in FINAL),
    ],
)
def test_what_is_not_proven_is_none(unit: Unit, evidence: Evidence) -> None:
    assert decide.finding_of(unit, a_job(), NOW + timedelta(days=30), evidence) is None


def test_a_running_unit_whose_lease_is_kept_is_none_however_long_it_runs() -> None:
    late = NOW + timedelta(hours=100)
    unit = a_unit(status=UnitStatus.RUNNING, started_at=NOW, lease=a_lease(expires_at=late))
    assert decide.finding_of(unit, a_job(), late, SILENT) is None


def test_a_unit_is_ready_since_its_last_need_was_completed() -> None:
    job = a_job(started_at=NOW)
    needs = {at: a_unit(at, status=UnitStatus.COMPLETED, finished_at=NOW + at * MINUTE) for at in (1, 2)}
    unit = a_unit(3, status=UnitStatus.WAITING, needs=(1, 2))

    assert decide.ready_since(unit, job, needs) == NOW + 2 * MINUTE
    assert decide.ready_since(unit, job, {1: needs[1]}) is None
    assert decide.ready_since(unit, job, {**needs, 2: a_unit(2)}) is None
    assert decide.ready_since(WAITING, job, needs) == NOW
    assert decide.ready_since(WAITING, a_job(), needs) is None


@pytest.mark.parametrize(
    ("unit", "status"),
    [
        (queued(), UnitStatus.QUEUED),
        (queued(queued_at=NOW - timedelta(hours=25)), UnitStatus.FAILED),
        (running(), UnitStatus.QUEUED),
        (running(max_attempts=1), UnitStatus.FAILED),
        (WAITING, UnitStatus.QUEUED),
    ],
)
def test_every_finding_of_a_row_has_a_move_that_mends_it(unit: Unit, status: UnitStatus) -> None:
    now = NOW + 31 * MINUTE
    moved = decide.moved(unit, a_job(), now=now)
    assert moved is not None
    assert moved.status is status
    assert decide.finding_of(moved, a_job(), now, Evidence(bells=0, ready_since=NOW)) is None
