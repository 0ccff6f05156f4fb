"""Fan-out under redelivery and crashes: one delivery per event and endpoint, no gap, and nothing forgotten."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from gpupool.errors import StaleWrite
from gpupool.events.model import SUBSCRIBABLE, EventType
from gpupool.pages import Key, Page
from gpupool.webhooks.fan_out import MAX_ENDPOINTS, FanOut
from gpupool.webhooks.memory import MemoryWebhookStore
from gpupool.webhooks.model import Delivery, DeliveryStatus, Endpoint
from gpupool.webhooks.queue import AttemptRef
from tests.unit.webhooks.world import Hooks


def test_an_event_reaches_those_who_asked_for_it_and_nobody_else() -> None:
    hooks = Hooks()
    wanting = hooks.endpoint(1)
    other = hooks.endpoint(2, events=frozenset({EventType.UNIT_FAILED}))
    stranger = hooks.endpoint(3, customer="bob")
    off = hooks.endpoint(4)
    hooks.ports.webhooks.replace_endpoint(off, replace(off, disabled_at=hooks.clock.now()))

    hooks.fan_out.publish(hooks.event(1))
    hooks.run(hours=1)

    assert [len(hooks.log(each)) for each in (wanting, other, stranger, off)] == [1, 0, 0, 0]
    (sent,) = hooks.ports.sender.sent
    assert json.loads(sent.body) == {
        "type": "job.completed",
        "id": "job-1#job.completed",
        "timestamp": "2026-01-01T00:00:00.000Z",
        "sequence": 1,
        "data": {"job_id": "job-1", "name": "job 1"},
    }


def test_an_event_that_comes_again_makes_no_second_delivery() -> None:
    hooks = Hooks()
    endpoint = hooks.endpoint()
    for _ in range(3):
        hooks.fan_out.publish(hooks.event(1))
    hooks.fan_out.publish(hooks.event(2))
    hooks.run(hours=1)
    hooks.fan_out.publish(hooks.event(1))
    hooks.run(hours=1)
    assert [each.sequence for each in hooks.log(endpoint)] == [1, 2]
    assert len(hooks.ports.sender.sent) == 2


class Crash(Exception):
    """The function's environment is gone."""


class DyingQueue:
    """Dies before or after one of its messages goes out."""

    def __init__(self, inner: Callable[..., None], *, at: int, sent: bool) -> None:
        self._inner, self._at, self._sent = inner, at, sent

    def ring(self, ref: AttemptRef, *, delay_seconds: int = 0) -> None:
        self._at -= 1
        if self._at != 0:
            return self._inner(ref, delay_seconds=delay_seconds)
        if self._sent:
            self._inner(ref, delay_seconds=delay_seconds)
        raise Crash


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("redelivered", [True, False])
def test_whoever_dies_half_way_is_made_up_for(at: int, sent: bool, redelivered: bool) -> None:
    """By the record that comes again; and what was written but not rung is found by the sweep even without it."""
    hooks = Hooks()
    endpoints = [hooks.endpoint(number) for number in range(3)]
    dying = FanOut(
        store=hooks.ports.webhooks, queue=DyingQueue(hooks.ports.webhook_queue.ring, at=at, sent=sent), clock=hooks.clock
    )
    with pytest.raises(Crash):
        dying.publish(hooks.event(1))
    if redelivered:
        hooks.fan_out.publish(hooks.event(1))
    hooks.run(hours=1)

    made = [each for endpoint in endpoints for each in hooks.log(endpoint)]
    assert len(made) == (3 if redelivered else at)
    assert {each.status for each in made} == {DeliveryStatus.DELIVERED}
    assert len(hooks.ports.sender.sent) == len(made)


class Contended(MemoryWebhookStore):
    """Another event takes the next number first, so many times."""

    times = 3

    def enqueue(self, delivery: Delivery) -> None:
        if self.times:
            self.times -= 1
            super().enqueue(replace(delivery, id=f"other-{self.times}"))
            raise StaleWrite
        super().enqueue(delivery)


def test_events_that_meet_take_numbers_one_after_the_other() -> None:
    hooks = Hooks()
    endpoint = hooks.endpoint()
    store = Contended(hooks.ports.world)
    FanOut(store=store, queue=hooks.ports.webhook_queue, clock=hooks.clock).publish(hooks.event(1))
    assert [each.sequence for each in hooks.log(endpoint)] == [1, 2, 3, 4]
    assert json.loads(hooks.log(endpoint)[-1].body)["sequence"] == 4


def test_a_deliverer_that_dies_with_the_attempt_is_followed_by_another() -> None:
    """The receiver may then get it twice, under one webhook-id: at least once is the promise."""
    hooks = Hooks()
    endpoint = hooks.endpoint()
    hooks.fan_out.publish(hooks.event(1))
    answer = hooks.ports.sender.answer

    def die(sent: object) -> None:
        raise Crash

    hooks.ports.sender.answer = die  # type: ignore[assignment]
    with pytest.raises(Crash):
        hooks.work()
    hooks.ports.sender.answer = answer
    hooks.run(hours=1)

    (delivered,) = hooks.log(endpoint)
    assert (delivered.status, len(delivered.attempts)) == (DeliveryStatus.DELIVERED, 1)
    assert len({sent.headers["webhook-id"] for sent in hooks.ports.sender.sent}) == 1


def test_what_is_under_way_to_a_removed_or_disabled_endpoint_ends() -> None:
    hooks = Hooks()
    removed, disabled = hooks.endpoint(1), hooks.endpoint(2)
    hooks.fan_out.publish(hooks.event(1))
    hooks.service.delete("ada", removed.id)
    hooks.ports.webhooks.replace_endpoint(
        hooks.service.get("ada", disabled.id),
        replace(hooks.service.get("ada", disabled.id), disabled_at=hooks.clock.now(), disabled_reason="You disabled it."),
    )
    hooks.run(hours=1)
    ended = [each for endpoint in (removed, disabled) for each in hooks.log(endpoint)]
    assert [each.status for each in ended] == [DeliveryStatus.FAILED] * 2
    assert hooks.ports.sender.sent == []


def test_an_endpoint_beyond_the_limit_is_told_too() -> None:
    """Creations that meet may pass the limit together; the oldest endpoint must not fall silent for that."""
    hooks = Hooks()
    endpoints = [hooks.endpoint(number) for number in range(MAX_ENDPOINTS)]
    oldest = replace(endpoints[0], id="0", url="https://receiver-0.example/oldest")
    hooks.ports.webhooks.add_endpoint(oldest)
    hooks.fan_out.publish(hooks.event(1))
    assert [len(hooks.log(each)) for each in (*endpoints, oldest)] == [1] * (MAX_ENDPOINTS + 1)


def test_what_nobody_can_subscribe_to_asks_for_no_endpoints() -> None:
    hooks = Hooks()
    store = Counting(hooks.ports.world)
    fan_out = FanOut(store=store, queue=hooks.ports.webhook_queue, clock=hooks.clock)
    for kind in EventType:
        fan_out.publish(hooks.event(1, kind=kind))
    assert store.lists == len(SUBSCRIBABLE)


def test_a_batch_asks_once_for_a_customer_without_endpoints_and_each_time_for_one_with_some() -> None:
    hooks = Hooks()
    endpoint = hooks.endpoint(customer="bob")
    store = Counting(hooks.ports.world)
    batch = FanOut(store=store, queue=hooks.ports.webhook_queue, clock=hooks.clock).batch()
    for customer in ("ada", "bob"):
        for number in range(3):
            batch.publish(hooks.event(number, customer=customer))
    assert store.lists == 1 + 3
    assert len(hooks.log(endpoint)) == 3


class Counting(MemoryWebhookStore):
    lists = 0

    def endpoints(self, customer_id: str, *, limit: int, key: Key | None) -> Page[Endpoint]:
        self.lists += 1
        return super().endpoints(customer_id, limit=limit, key=key)


def test_an_endpoint_that_is_removed_during_the_fan_out_gets_nothing() -> None:
    hooks = Hooks()
    endpoint = hooks.endpoint()
    hooks.service.delete("ada", endpoint.id)
    assert hooks.fan_out.enqueue(endpoint, hooks.event(1)) is None
    assert hooks.log(endpoint) == []
    assert hooks.ports.webhook_queue.take() is None
