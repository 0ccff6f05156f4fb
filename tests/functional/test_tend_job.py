"""Step ``Tend`` on the real adapters."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from functions.tend_job.handler import handler
from gpupool import bootstrap
from gpupool.units.model import UnitStatus
from tests.factories import NOW, a_unit
from tests.functional.steps import given_a_running_job, the_job, the_unit
from tests.support.deployment import deployed
from tests.support.events import FakeLambdaContext
from tests.support.work import JOB_ID

Load = Callable[[str], dict[str, Any]]
ROOT = a_unit(0, status=UnitStatus.WAITING, queued_at=None, dependents=(1,))
LEAF = a_unit(1, status=UnitStatus.WAITING, queued_at=None, needs=(0,), open_needs=frozenset({0}))


@pytest.fixture(autouse=True)
def _deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with deployed(monkeypatch):
        yield


def test_what_is_ready_is_released(load_event: Load) -> None:
    given_a_running_job(ROOT, LEAF)

    answer = handler(load_event("tend_job.first_page"), FakeLambdaContext())

    assert answer == {"outcome": "advance", "cursor": "", "steps": 2, "generation": 0}
    assert (the_unit(0).status, the_unit(1).status) == (UnitStatus.QUEUED, UnitStatus.WAITING)


def test_a_second_round_releases_nothing_twice(load_event: Load) -> None:
    given_a_running_job(ROOT, LEAF)
    handler(load_event("tend_job.first_page"), FakeLambdaContext())
    released = the_unit(0)

    handler(load_event("tend_job.first_page"), FakeLambdaContext())

    assert the_unit(0) == released


def test_what_many_wait_for_is_opened(load_event: Load) -> None:
    given_a_running_job(a_unit(0, status=UnitStatus.COMPLETED, finished_at=NOW, credits=4, dependents=(1,)), LEAF)
    bootstrap.ports().jobs.note_fan_out(JOB_ID, 0)

    handler(load_event("tend_job.first_page"), FakeLambdaContext())

    assert (the_unit(1).status, the_unit(1).open_needs) == (UnitStatus.QUEUED, frozenset())
    assert the_job().fan_outs == frozenset()


def test_a_cancelled_job_is_not_tended(load_event: Load) -> None:
    given_a_running_job(ROOT)
    bootstrap.ports().jobs.request_cancel(JOB_ID, at=NOW)

    assert handler(load_event("tend_job.first_page"), FakeLambdaContext())["outcome"] == "cancelled"
    assert the_unit(0).status is UnitStatus.WAITING
