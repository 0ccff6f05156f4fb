"""The moves between a unit's states: pure, so every case is one call."""

from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import ValidationError

from gpupool.units import decide
from gpupool.units.decide import Refusal, Standing, Terms
from gpupool.units.model import FINAL, Unit, UnitStatus, Worker
from gpupool.wire.failures import Blame, FailureCode, blame_of, may_retry
from gpupool.wire.units import FailRequest, Lease, OutputFile
from gpupool.wire.vocabulary import ArtifactKind, UnitRole
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
    assert refusal(replace(RUNNING, lease=a_lease(node_id="node-2", expires_at=NOW + left))) is expected


HOUR = timedelta(hours=1)


def failed_by(node_id: str, *codes: FailureCode, unit: Unit = RUNNING) -> Unit:
    """The unit after the node failed it at ``NOW``, once per code."""
    for code in codes:
        held = replace(unit, status=UnitStatus.RUNNING, lease=a_lease(node_id=node_id, expires_at=NOW + SECOND))
        unit = decide.failed(replace(held, attempt=1), report(code), now=NOW)
    return unit


@pytest.mark.parametrize(
    "code", [FailureCode.SANDBOX_FAILED, FailureCode.INPUT_CORRUPT, FailureCode.DATASET_MISMATCH, FailureCode.INTERNAL]
)
def test_a_machine_that_failed_a_unit_lets_others_come_first(code: FailureCode) -> None:
    unit = failed_by("node-1", code)

    assert refusal(unit) is Refusal.PAUSED
    assert refusal(unit, replace(WORKER, node_id="node-2")) is None


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_the_pause_grows_with_the_failures_and_ends(failures: int) -> None:
    unit = failed_by("node-1", *[FailureCode.SANDBOX_FAILED] * failures)
    end = NOW + failures * timedelta(minutes=2)

    assert decide.refuse_claim(unit, WORKER, own_bell=True, now=end - SECOND) is Refusal.PAUSED
    assert decide.refuse_claim(unit, WORKER, own_bell=True, now=end) is None


def test_what_the_script_did_is_not_held_against_the_machine() -> None:
    assert failed_by("node-1", FailureCode.SCRIPT_FAILED).faults == ()


def test_a_first_drain_costs_the_machine_nothing_and_the_next_does() -> None:
    assert refusal(failed_by("node-1", FailureCode.NODE_DRAINED)) is None
    assert refusal(failed_by("node-1", FailureCode.NODE_DRAINED, FailureCode.NODE_DRAINED)) is Refusal.PAUSED


def test_a_lapse_is_held_against_its_machine_too() -> None:
    lapsed = replace(RUNNING, lease=a_lease(node_id="node-1", expires_at=NOW - SECOND))
    other = replace(WORKER, node_id="node-2")
    taken = decide.claimed(lapsed, other, Terms("token-2", NOW + SECOND, a_doorway()), now=NOW)
    found = decide.due(lapsed, now=NOW + HOUR)

    assert refusal(lapsed) is Refusal.PAUSED
    assert refusal(lapsed, other) is None
    assert [(fault.node_id, fault.failures, fault.at) for fault in taken.faults] == [("node-1", 1, NOW - SECOND)]
    assert found is not None
    assert (found.faults, found.lease) == (taken.faults, None)


def test_a_unit_without_attempts_fails_whoever_asks() -> None:
    assert refusal(replace(failed_by("node-1", FailureCode.SANDBOX_FAILED), attempt=3)) is Refusal.EXHAUSTED


def test_only_the_last_machines_are_remembered() -> None:
    unit = RUNNING
    for at in range(12):
        unit = failed_by(f"node-{at}", FailureCode.SANDBOX_FAILED, unit=unit)

    assert [fault.node_id for fault in unit.faults] == [f"node-{at}" for at in range(2, 12)]


@pytest.mark.parametrize("role", UnitRole)
def test_who_is_paid_for_a_model_must_leave_one(role: UnitRole) -> None:
    unit = a_unit(work=some_work(role=role))
    model, log = (
        OutputFile(name=kind, kind=kind, size_bytes=1, sha256="a" * 64) for kind in (ArtifactKind.MODEL, ArtifactKind.LOGS)
    )
    asked = role in {UnitRole.TRAIN, UnitRole.PACKAGE, UnitRole.SELECT}

    assert decide.lacks_model(unit, []) is asked
    assert decide.lacks_model(unit, [log]) is asked
    assert not decide.lacks_model(unit, [log, model])


@pytest.mark.parametrize(("attempt", "expected"), [(0, None), (2, None), (3, Refusal.EXHAUSTED), (4, Refusal.EXHAUSTED)])
def test_attempts_are_counted_in_claims(attempt: int, expected: Refusal | None) -> None:
    assert refusal(a_unit(attempt=attempt, max_attempts=3)) is expected


def test_a_claim_starts_a_clean_attempt() -> None:
    before = a_unit(attempt=1, progress_fraction=0.9, metrics={"loss": 1.0})
    unit = decide.claimed(before, WORKER, Terms("token-2", NOW + SECOND, a_doorway()), now=NOW)

    assert (unit.status, unit.attempt, unit.started_at) == (UnitStatus.RUNNING, 2, NOW)
    assert (unit.progress_fraction, unit.metrics) == (None, {})
    deadline = NOW + timedelta(seconds=600) + 2 * HOUR
    assert unit.lease == a_lease(token="token-2", expires_at=NOW + SECOND, deadline=deadline)
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
ONE_MORE_TRY = {
    FailureCode.SCRIPT_FAILED,
    FailureCode.OUT_OF_MEMORY,
    FailureCode.ENVIRONMENT_FAILED,
    FailureCode.DATASET_MISMATCH,
}


PLATFORM_ONLY = {FailureCode.PLANNING_FAILED, FailureCode.DISPATCH_FAILED, FailureCode.LEASE_EXPIRED}


@pytest.mark.parametrize("code", sorted(PLATFORM_ONLY))
def test_what_only_the_platform_knows_is_not_a_nodes_to_say(code: FailureCode) -> None:
    with pytest.raises(ValidationError):
        report(code)


@pytest.mark.parametrize("code", sorted(set(FailureCode) - PLATFORM_ONLY - {FailureCode.NODE_DRAINED}))
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
