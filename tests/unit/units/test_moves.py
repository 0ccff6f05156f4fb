"""The moves between a unit's states: pure, so every case is one call."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gpupool.units import decide
from gpupool.units.decide import Refusal, Standing, Terms
from gpupool.units.model import FINAL, Unit, UnitStatus, Worker
from gpupool.wire.failures import Blame, FailureCode, blame_of, may_retry
from gpupool.wire.units import FailRequest, Lease
from tests.factories import NOW, a_doorway, a_lease, a_unit, some_work

SECOND = timedelta(seconds=1)
WORKER = Worker("node-1", "node-0001", vram_mb=8_000, disk_free_mb=1_000, queue_urls=frozenset({"memory://public-cpu"}))
LEASE = Lease(attempt=1, lease_token="token-1")
RUNNING = a_unit(status=UnitStatus.RUNNING, attempt=1, lease=a_lease(expires_at=NOW + SECOND), started_at=NOW)


def refusal(unit: Unit | None, worker: Worker = WORKER, *, own_bell: bool = True) -> Refusal | None:
    return decide.refuse_claim(unit, worker, own_bell=own_bell, now=NOW)


@pytest.mark.parametrize("status", [*sorted(FINAL), UnitStatus.WAITING])
def test_nobody_is_needed_for_a_unit_that_is_over_or_waits(status: UnitStatus) -> None:
    assert refusal(a_unit(status=status)) is Refusal.GONE


def test_nobody_is_needed_for_a_unit_that_is_not_there() -> None:
    assert refusal(None) is Refusal.GONE


@pytest.mark.parametrize("work", [{"required_vram_mb": 8_001}, {"required_disk_mb": 1_001}])
def test_a_machine_must_have_what_the_unit_needs(work: dict[str, int]) -> None:
    assert refusal(a_unit(work=some_work(**work))) is Refusal.NOT_SUITABLE


def test_a_machine_takes_exactly_what_it_has() -> None:
    assert refusal(a_unit(work=some_work(required_vram_mb=8_000, required_disk_mb=1_000))) is None


def test_a_unit_is_claimed_only_through_its_own_queue() -> None:
    assert refusal(a_unit(), own_bell=False) is Refusal.NOT_SUITABLE


@pytest.mark.parametrize(("left", "expected"), [(SECOND, Refusal.LEASED), (timedelta(0), None), (-SECOND, None)])
def test_only_a_lapsed_lease_frees_a_running_unit(left: timedelta, expected: Refusal | None) -> None:
    assert refusal(replace(RUNNING, lease=a_lease(expires_at=NOW + left))) is expected


@pytest.mark.parametrize(("attempt", "expected"), [(0, None), (2, None), (3, Refusal.EXHAUSTED), (4, Refusal.EXHAUSTED)])
def test_attempts_are_counted_in_claims(attempt: int, expected: Refusal | None) -> None:
    assert refusal(a_unit(attempt=attempt, max_attempts=3)) is expected


def test_a_claim_starts_a_clean_attempt() -> None:
    before = a_unit(attempt=1, progress_fraction=0.9, metrics={"loss": 1.0})
    unit = decide.claimed(before, WORKER, Terms("token-2", NOW + SECOND, a_doorway()), now=NOW)

    assert (unit.status, unit.attempt, unit.started_at) == (UnitStatus.RUNNING, 2, NOW)
    assert (unit.progress_fraction, unit.metrics) == (None, {})
    assert unit.lease == a_lease(token="token-2", expires_at=NOW + SECOND)
    assert unit.version == before.version


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (None, Standing.LOST),
        (RUNNING, Standing.HOLDS),
        (replace(RUNNING, lease=a_lease(expires_at=NOW - timedelta(days=1))), Standing.HOLDS),
        (replace(RUNNING, attempt=2), Standing.LOST),
        (replace(RUNNING, lease=a_lease(token="token-2")), Standing.LOST),
        (a_unit(attempt=1), Standing.LOST),
        (a_unit(status=UnitStatus.CANCELLED, attempt=1), Standing.LOST),
        (a_unit(status=UnitStatus.COMPLETED, attempt=1, completed_by="token-1"), Standing.REPEATED),
        (a_unit(status=UnitStatus.QUEUED, attempt=1, completed_by="token-1"), Standing.REPEATED),
        (replace(RUNNING, attempt=2, lease=a_lease(token="token-2"), completed_by="token-1"), Standing.REPEATED),
        (a_unit(status=UnitStatus.COMPLETED, attempt=2, completed_by="token-2"), Standing.LOST),
    ],
)
def test_how_a_report_stands_to_the_row(unit: Unit | None, expected: Standing) -> None:
    assert decide.standing(unit, LEASE) is expected


@pytest.mark.parametrize(
    ("reported", "passed", "charged"), [(10, 60, 10), (60, 60, 60), (1e12, 60, 60), (0, 60, 0), (10, 0, 0), (10, -5, 0)]
)
def test_nobody_is_charged_for_more_time_than_passed_here(reported: float, passed: float, charged: float) -> None:
    now = NOW + timedelta(seconds=passed)
    assert decide.observed_runtime(RUNNING, reported=reported, now=now) == charged


ENDS_AT_ONCE = {
    FailureCode.TIMED_OUT,
    FailureCode.NO_MODEL,
    FailureCode.LOG_LIMIT_EXCEEDED,
    FailureCode.OUTPUT_TOO_LARGE,
    FailureCode.PROCESS_LIMIT_EXCEEDED,
    FailureCode.PACKAGE_INVALID,
    FailureCode.DISK_FULL,
}
ONE_MORE_TRY = {FailureCode.SCRIPT_FAILED, FailureCode.OUT_OF_MEMORY, FailureCode.ENVIRONMENT_FAILED}


@pytest.mark.parametrize("code", sorted(set(FailureCode) - {FailureCode.NODE_DRAINED}))
def test_how_often_each_cause_is_tried_again(code: FailureCode) -> None:
    tries = 1 if code in ENDS_AT_ONCE else 2 if code in ONE_MORE_TRY else 3

    statuses = [decide.failed(replace(RUNNING, attempt=attempt), report(code), now=NOW).status for attempt in (1, 2, 3)]

    assert statuses == [UnitStatus.QUEUED] * (tries - 1) + [UnitStatus.FAILED] * (4 - tries)


@pytest.mark.parametrize("code", FailureCode)
def test_a_unit_of_one_attempt_is_never_tried_again(code: FailureCode) -> None:
    assert not may_retry(code, attempt=1, max_attempts=1)


@pytest.mark.parametrize("code", FailureCode)
def test_every_cause_names_who_has_to_act(code: FailureCode) -> None:
    user = ENDS_AT_ONCE | ONE_MORE_TRY
    platform = {FailureCode.PLANNING_FAILED, FailureCode.DISPATCH_FAILED, FailureCode.INTERNAL}
    expected = Blame.USER if code in user else Blame.PLATFORM if code in platform else Blame.NODE
    assert blame_of(code) is expected


def report(code: FailureCode, **changes: object) -> FailRequest:
    return FailRequest(lease=LEASE, code=code, message="It broke.", **changes)


def test_a_failure_keeps_its_evidence() -> None:
    unit = decide.failed(RUNNING, report(FailureCode.SCRIPT_FAILED, log_tail="Traceback", exit_code=1), now=NOW)

    assert unit.failure is not None
    assert (unit.failure.attempt, unit.failure.exit_code, unit.failure.log_tail) == (1, 1, "Traceback")
    assert (unit.lease, unit.completed_by, unit.queued_at) == (None, "token-1", NOW)


def test_a_failed_units_runtime_is_bounded_by_the_clock_as_well() -> None:
    request = report(FailureCode.TIMED_OUT, runtime_seconds=1e9)
    assert decide.failed(RUNNING, request, now=NOW + SECOND).runtime_seconds == 1


def test_a_failed_unit_costs_nothing() -> None:
    for unit in (
        decide.failed(RUNNING, report(FailureCode.TIMED_OUT), now=NOW),
        decide.exhausted(RUNNING, now=NOW),
        decide.undeliverable(a_unit(), now=NOW),
        decide.cancelled(RUNNING, now=NOW),
    ):
        assert (unit.credits, unit.lease, unit.finished_at, unit.is_final) == (0, None, NOW, True)


def test_a_completed_unit_has_no_failure_left_of_earlier_attempts() -> None:
    failed = decide.failed(RUNNING, report(FailureCode.NODE_DRAINED), now=NOW)
    again = decide.claimed(failed, WORKER, Terms("token-2", NOW, a_doorway()), now=NOW)
    lease = Lease(attempt=2, lease_token="token-2")

    unit = decide.completed(again, lease=lease, metrics={}, runtime_seconds=3.0, credits=4, now=NOW)

    assert (unit.failure, unit.completed_by, unit.credits, unit.progress_fraction) == (None, "token-2", 4, 1.0)


@pytest.mark.parametrize(
    ("changes", "stale"),
    [
        ({"queued_at": NOW - timedelta(hours=25)}, True),
        ({"queued_at": NOW - timedelta(hours=24)}, False),
        ({"queued_at": None}, False),
        ({"queued_at": NOW - timedelta(hours=25), "status": UnitStatus.RUNNING}, False),
    ],
)
def test_when_ringing_makes_no_sense_any_more(changes: dict[str, object], stale: bool) -> None:
    assert decide.bell_is_stale(a_unit(**changes), now=NOW) is stale
