"""The stream of ``units`` on the real adapters."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from functions.on_unit_written.handler import handler
from gpupool import bootstrap
from gpupool.ledger.model import EntryKind
from gpupool.units.model import Unit, UnitStatus
from gpupool.wire.joining import Doorbell
from tests.factories import a_unit
from tests.functional.steps import bells, entries, given_a_running_job, sequence_number, the_job, the_unit, told
from tests.support.events import FakeLambdaContext
from tests.support.executions import Executions, deployed_with_executions
from tests.support.work import JOB_ID

Load = Callable[[str], dict[str, Any]]
NO_FAILURES = {"batchItemFailures": []}
DONE = a_unit(0, status=UnitStatus.COMPLETED, credits=4, dependents=(1,))


def waiting(index: int, *needs: int) -> Unit:
    return a_unit(index, status=UnitStatus.WAITING, queued_at=None, needs=needs, open_needs=frozenset(needs))


@pytest.fixture
def executions(monkeypatch: pytest.MonkeyPatch) -> Iterator[Executions]:
    with deployed_with_executions(monkeypatch) as found:
        yield found


def deliver(event: dict[str, Any]) -> Any:
    return handler(event, FakeLambdaContext())


@pytest.mark.parametrize(("case", "attempt"), [("queued", 0), ("retried", 1)])
def test_a_queued_unit_rings_its_bell(executions: Executions, load_event: Load, case: str, attempt: int) -> None:
    assert deliver(load_event(f"on_unit_written.{case}")) == NO_FAILURES

    rung = [Doorbell.model_validate_json(body) for body in bells()]
    assert rung == [Doorbell(job_id=JOB_ID, unit_id=a_unit(0).id, attempt=attempt)]
    assert bells("controlled-cpu") == []


def test_a_completed_unit_is_paid_and_queues_the_next(executions: Executions, load_event: Load) -> None:
    given_a_running_job(DONE, waiting(1, 0))
    bootstrap.ports().jobs.park(JOB_ID, task_token=executions.start(JOB_ID), entered="00001")

    assert deliver(load_event("on_unit_written.completed")) == NO_FAILURES

    assert [(entry.unit_id, entry.amount) for entry in entries(EntryKind.DEBIT)] == [(DONE.id, 4)]
    assert (the_job().units_completed, the_job().credits_spent) == (1, 4)
    assert (the_unit(1).open_needs, the_unit(1).status) == (frozenset(), UnitStatus.QUEUED)
    assert executions.is_waiting(JOB_ID)


def test_a_completed_unit_that_opens_nothing_wakes_nobody(executions: Executions, load_event: Load) -> None:
    given_a_running_job(DONE, waiting(1, 0, 2), waiting(2))
    bootstrap.ports().jobs.park(JOB_ID, task_token=executions.start(JOB_ID), entered="00001")

    assert deliver(load_event("on_unit_written.completed")) == NO_FAILURES

    assert the_unit(1).open_needs == frozenset({2})
    assert executions.is_waiting(JOB_ID)


def test_a_record_delivered_again_and_again_pays_once(executions: Executions, load_event: Load) -> None:
    given_a_running_job(DONE, waiting(1, 0))

    for _ in range(4):
        assert deliver(load_event("on_unit_written.completed")) == NO_FAILURES

    assert len(entries(EntryKind.DEBIT)) == 1
    assert the_job().units_completed == 1


def test_a_failed_unit_wakes_the_execution_and_costs_nothing(executions: Executions, load_event: Load) -> None:
    given_a_running_job(a_unit(0, status=UnitStatus.FAILED))
    bootstrap.ports().jobs.park(JOB_ID, task_token=executions.start(JOB_ID), entered="00001")

    assert deliver(load_event("on_unit_written.failed")) == NO_FAILURES

    assert executions.outcome(JOB_ID) == "failed"
    assert entries(EntryKind.DEBIT) == []


def test_one_bad_record_of_a_batch_is_delivered_again_and_the_others_count(executions: Executions, load_event: Load) -> None:
    given_a_running_job(DONE, waiting(1, 0))
    event = load_event("on_unit_written.mixed")

    answer = deliver(event)

    assert answer == {"batchItemFailures": [{"itemIdentifier": sequence_number(event, 2)}]}
    assert len(entries(EntryKind.DEBIT)) == 1
    assert bells() == []


def test_a_claim_tells_who_started_and_rings_nothing(executions: Executions, load_event: Load) -> None:
    for _ in range(2):
        assert deliver(load_event("on_unit_written.claimed")) == NO_FAILURES

    unit = {"unit_id": a_unit(0).id, "unit_name": "prepare", "role": "train", "status": "running"}
    assert told() == [("unit.started", unit | {"attempt": 1, "node_name": "node-0001"})]
    assert bells() == []


def test_a_claim_over_a_lapsed_lease_tells_how_the_last_attempt_ended(executions: Executions, load_event: Load) -> None:
    for _ in range(2):
        assert deliver(load_event("on_unit_written.taken_over")) == NO_FAILURES

    (retried, ended), (started, begun) = told()
    assert (retried, ended["attempt"], ended["node_name"]) == ("unit.retried", 1, "node-0001")
    assert (ended["failure"]["code"], ended["failure"]["blame"]) == ("LEASE_EXPIRED", "node")
    assert (started, begun["attempt"], begun["node_name"]) == ("unit.started", 2, "node-0002")


@pytest.mark.parametrize(
    ("case", "events"),
    [
        ("queued", ["unit.queued"]),
        ("retried", ["unit.retried"]),
        ("failed", ["unit.failed"]),
        ("cancelled", ["unit.cancelled"]),
    ],
)
def test_every_turn_of_a_unit_is_told_once(executions: Executions, load_event: Load, case: str, events: list[str]) -> None:
    given_a_running_job(a_unit(0, status=UnitStatus.FAILED))

    for _ in range(3):
        assert deliver(load_event(f"on_unit_written.{case}")) == NO_FAILURES

    assert [kind for kind, _ in told()] == events


def test_a_completed_unit_tells_what_it_cost(executions: Executions, load_event: Load) -> None:
    given_a_running_job(DONE, waiting(1, 0))

    assert deliver(load_event("on_unit_written.completed")) == NO_FAILURES

    assert [(kind, data["credits"]) for kind, data in told()] == [("unit.completed", 4)]
