"""Events in memory and in DynamoDB answer alike."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gpupool.events.dynamo import event_from, event_item
from gpupool.events.model import Event, EventType, event_key
from tests.contract.both import Stores
from tests.factories import CUSTOMER_ID, NOW
from tests.support.work import JOB_ID

DATA = {
    "unit_id": f"{JOB_ID}.00000",
    "attempt": 1,
    "failure": {"code": "SCRIPT_FAILED", "message": "Es ging schief: \u2026", "exit_code": -9},
    "artifacts": [{"id": "a", "kind": "model", "name": "model.tar.gz"}],
}


@pytest.fixture
def tables() -> tuple[str, ...]:
    return ("events",)


def an_event(number: int = 0, *, job_id: str = JOB_ID, seconds: float = 0) -> Event:
    at = NOW + timedelta(seconds=seconds)
    return Event(f"event-{number}", CUSTOMER_ID, job_id, EventType.UNIT_FAILED, at, DATA)


def test_a_job_that_nothing_happened_to_has_no_events(stores: Stores) -> None:
    stores.events.add(())
    assert stores.events.page(JOB_ID, limit=10, key=None).items == ()


def test_events_come_back_as_they_were_told(stores: Stores) -> None:
    stores.events.add((an_event(1), an_event(2, job_id="another-job")))
    assert stores.events.page(JOB_ID, limit=10, key=None).items == (an_event(1),)


def test_telling_an_event_again_changes_nothing(stores: Stores) -> None:
    stores.events.add((an_event(1),))
    stores.events.add((replace(an_event(1), data={}), an_event(2)))
    assert stores.events.page(JOB_ID, limit=10, key=None).items == (an_event(1), an_event(2))


@pytest.mark.parametrize(("limit", "pages"), [(1, 4), (2, 2), (3, 2), (4, 1), (100, 1)])
def test_events_come_oldest_first_in_pages_whatever_came_first(stores: Stores, limit: int, pages: int) -> None:
    events = [an_event(at, seconds=at // 2) for at in range(4)]
    for event in (events[2], events[0], events[3], events[1]):
        stores.events.add((event,))
    seen: list[Event] = []
    key = None
    for at in range(pages):
        page = stores.events.page(JOB_ID, limit=limit, key=key)
        seen += page.items
        key = page.next_key
        assert (key is None) == (at == pages - 1)
        assert key is None or key == {"job_id": JOB_ID, "event_key": event_key(seen[-1])}
    assert seen == events


def test_an_event_is_known_by_its_moment_and_id_whatever_it_says(stores: Stores) -> None:
    stores.events.add((an_event(),))
    assert stores.events.has(replace(an_event(), data={"other": "facts"}))
    assert not stores.events.has(an_event(1))
    assert not stores.events.has(an_event(seconds=1))


def test_a_second_and_its_fractions_are_in_order() -> None:
    keys = [event_key(an_event(seconds=seconds)) for seconds in (0, 0.000001, 0.5, 1)]
    assert keys == sorted(keys)


def test_an_item_is_its_event() -> None:
    assert event_from(event_item(an_event())) == an_event()
    assert event_item(event_from(event_item(an_event()))) == event_item(an_event())
