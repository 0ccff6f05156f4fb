"""Steps ``Finish`` and ``Compensate`` on the real adapters."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from functions.close_job.handler import handler
from gpupool import bootstrap
from gpupool.jobs.model import JobStatus
from gpupool.ledger.model import EntryKind
from gpupool.units.model import UnitStatus
from gpupool.uploads.model import UploadKind
from gpupool.wire.failures import FailureCode
from tests.factories import CUSTOMER_ID, a_lease, a_unit
from tests.functional.steps import entries, given_a_job, given_a_running_job, the_job, the_unit
from tests.support.deployment import deployed
from tests.support.events import FakeLambdaContext

Load = Callable[[str], dict[str, Any]]
DONE = a_unit(0, status=UnitStatus.COMPLETED, credits=4)
RUNNING = a_unit(1, status=UnitStatus.RUNNING, attempt=1, lease=a_lease())
WAITING = a_unit(2, status=UnitStatus.WAITING)


@pytest.fixture(autouse=True)
def _deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with deployed(monkeypatch):
        yield


def test_finishing_completes_the_job_and_releases_the_rest(load_event: Load) -> None:
    given_a_running_job(DONE)

    answer = handler(load_event("close_job.finish"), FakeLambdaContext())

    assert answer["outcome"] == "closed"
    assert the_job().status is JobStatus.COMPLETED
    assert [entry.amount for entry in entries(EntryKind.DEBIT)] == [4]
    assert [entry.amount for entry in entries(EntryKind.RELEASE)] == [26]
    balance = bootstrap.ports().ledger.balance(CUSTOMER_ID)
    assert (balance.available, balance.held, balance.spent) == (996, 0, 4)


def test_compensating_cancels_what_lives_and_pays_what_was_completed(load_event: Load) -> None:
    given_a_running_job(DONE, RUNNING, WAITING)

    handler(load_event("close_job.compensate"), FakeLambdaContext())

    assert the_job().status is JobStatus.CANCELLED
    assert [the_unit(at).status for at in range(3)] == [UnitStatus.COMPLETED, UnitStatus.CANCELLED, UnitStatus.CANCELLED]
    assert len(entries(EntryKind.DEBIT)) == 1
    upload = bootstrap.ports().uploads.get(CUSTOMER_ID, UploadKind.DATASET, "dataset-1")
    assert upload is not None
    assert upload.live_jobs == frozenset()


@pytest.mark.parametrize("case", ["after_error", "compensate", "finish"])
def test_closing_twice_changes_nothing(load_event: Load, case: str) -> None:
    given_a_running_job(DONE, RUNNING)
    handler(load_event("close_job.compensate"), FakeLambdaContext())
    job, balance = the_job(), bootstrap.ports().ledger.balance(CUSTOMER_ID)

    handler(load_event(f"close_job.{case}"), FakeLambdaContext())

    assert (the_job(), bootstrap.ports().ledger.balance(CUSTOMER_ID)) == (job, balance)


@pytest.mark.parametrize(("planned", "code"), [(False, FailureCode.PLANNING_FAILED), (True, FailureCode.INTERNAL)])
def test_an_error_of_ours_fails_the_job_without_telling_our_secrets(load_event: Load, planned: bool, code: FailureCode) -> None:
    if planned:
        given_a_running_job(RUNNING)
    else:
        given_a_job()

    handler(load_event("close_job.after_error"), FakeLambdaContext())

    failure = the_job().failure
    assert failure is not None
    assert failure.code is code
    assert "ProvisionedThroughput" not in failure.message
    assert bootstrap.ports().ledger.balance(CUSTOMER_ID).held == 0


def test_an_execution_that_was_stopped_after_its_job_ended_changes_nothing(load_event: Load) -> None:
    given_a_running_job(RUNNING)
    handler(load_event("close_job.compensate"), FakeLambdaContext())
    job = the_job()

    assert handler(load_event("close_job.stopped"), FakeLambdaContext()) == {}

    assert the_job() == job
