"""Dead letters of the doorbells on the real adapters."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.on_dead_letter.handler import handler
from gpupool import aws, bootstrap
from gpupool.units.model import Unit, UnitStatus
from gpupool.wire.failures import FailureCode
from gpupool.wire.joining import Doorbell
from tests.factories import a_lease, a_unit
from tests.functional.steps import bells, the_unit
from tests.support.deployment import deployed
from tests.support.events import FakeLambdaContext

Load = Callable[[str], dict[str, Any]]
NO_FAILURES = {"batchItemFailures": []}


@pytest.fixture(autouse=True)
def _deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with deployed(monkeypatch):
        yield


def given(*units: Unit) -> None:
    bootstrap.ports().units.add_all(units)


def rung() -> set[tuple[str, int]]:
    found = [Doorbell.model_validate_json(body) for body in bells()]
    return {(bell.unit_id, bell.attempt) for bell in found}


def test_units_that_wait_or_run_are_rung_for_again(load_event: Load) -> None:
    fresh = datetime.now(UTC)
    given(a_unit(0, queued_at=fresh), a_unit(1, status=UnitStatus.RUNNING, attempt=3, lease=a_lease()))

    assert handler(load_event("on_dead_letter.bells"), FakeLambdaContext()) == NO_FAILURES

    assert rung() == {(a_unit(0).id, 0), (a_unit(1).id, 3)}


def test_ended_and_unknown_units_are_let_go(load_event: Load) -> None:
    given(a_unit(0, status=UnitStatus.COMPLETED))

    assert handler(load_event("on_dead_letter.bells"), FakeLambdaContext()) == NO_FAILURES

    assert rung() == set()


def test_a_unit_that_nobody_took_for_a_day_fails(load_event: Load) -> None:
    given(a_unit(0, queued_at=datetime.now(UTC) - timedelta(hours=25)))

    assert handler(load_event("on_dead_letter.bells"), FakeLambdaContext()) == NO_FAILURES

    failure = the_unit(0).failure
    assert failure is not None
    assert failure.code is FailureCode.DISPATCH_FAILED
    assert rung() == set()


def test_what_is_no_bell_is_let_go_and_does_not_hold_up_the_others(load_event: Load) -> None:
    given(a_unit(0, queued_at=datetime.now(UTC)))

    assert handler(load_event("on_dead_letter.not_a_bell"), FakeLambdaContext()) == NO_FAILURES

    assert rung() == {(a_unit(0).id, 0)}


def test_a_bell_that_cannot_be_rung_comes_again(load_event: Load) -> None:
    given(a_unit(0, queued_at=datetime.now(UTC)))
    aws.sqs().delete_queue(QueueUrl=bootstrap.ports().settings.queue_urls["public-cpu"])
    event = load_event("on_dead_letter.bells")

    answer = handler(event, FakeLambdaContext())

    assert answer == {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]}
