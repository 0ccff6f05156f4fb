"""A receiver that is down for three days gets every event, exactly as often as the schedule says, and none is lost."""

import json
import random
from datetime import datetime, timedelta

import pytest

from gpupool.webhooks.decide import DELAYS, MAX_ATTEMPTS
from gpupool.webhooks.model import DeliveryStatus
from gpupool.webhooks.queue import AttemptRef
from gpupool.webhooks.service import Wish
from tests.unit.webhooks.world import START, Died, Hooks

OUTAGE = timedelta(hours=72)
ENDPOINTS, EVENTS = 3, 100


def a_world_in_outage(hooks: Hooks) -> list[int]:
    """Endpoints of one customer and a first day of events, all sent into an outage; how many deliveries each got."""
    hooks.answer = lambda at: 200 if at - START >= OUTAGE else 500
    endpoints = [hooks.endpoint(number) for number in range(ENDPOINTS)]
    for number in range(EVENTS):
        hooks.fan_out.publish(hooks.event(number))
    hooks.run(hours=100)
    return [len(hooks.log(endpoint)) for endpoint in endpoints]


def test_every_event_arrives_after_an_outage_of_72_hours() -> None:
    hooks = Hooks()
    assert a_world_in_outage(hooks) == [EVENTS] * ENDPOINTS

    due, at = [START], START
    for delay in DELAYS:
        at += delay
        due.append(at)
    attempts = next(number for number, moment in enumerate(due, start=1) if moment - START >= OUTAGE)
    assert attempts == MAX_ATTEMPTS
    for requests in hooks.seen.values():
        assert [moment for moment, _ in requests] == due[:attempts]
        assert [status for _, status in requests] == [500] * (attempts - 1) + [200]
    deliveries = [each for shelf in hooks.ports.world.deliveries.values() for each in shelf.values()]
    assert {each.status for each in deliveries} == {DeliveryStatus.DELIVERED}
    assert len(hooks.seen) == len(deliveries) == ENDPOINTS * EVENTS
    print(
        f"outage: {len(deliveries)} deliveries, 72 h down, {len(hooks.seen)} delivered once, 0 lost, "
        f"{attempts} attempts each, at the scheduled instants"
    )


def test_a_receiver_can_put_them_into_order() -> None:
    hooks = Hooks()
    endpoint = hooks.endpoint()
    for number in range(EVENTS):
        hooks.fan_out.publish(hooks.event(number))
    hooks.run(hours=1)

    bodies = sorted((json.loads(sent.body) for sent in hooks.ports.sender.sent), key=lambda body: body["sequence"])
    assert [body["sequence"] for body in bodies] == list(range(1, EVENTS + 1))
    assert [body["data"]["job_id"] for body in bodies] == [f"job-{number}" for number in range(EVENTS)]
    assert hooks.log(endpoint)[-1].sequence == EVENTS


@pytest.mark.parametrize("seed", range(5))
def test_lost_and_doubled_messages_change_when_and_never_how_often_more_than_needed(seed: int) -> None:
    """The sweep rings for what was lost; a second message finds the attempt made."""
    chance = random.Random(seed)

    def mangle(ref: AttemptRef) -> list[AttemptRef]:
        return [ref] * chance.choices([0, 1, 2, 3], [3, 4, 2, 1])[0]

    hooks = Hooks(mangle=mangle)
    a_world_in_outage(hooks)

    deliveries = [each for shelf in hooks.ports.world.deliveries.values() for each in shelf.values()]
    assert len(deliveries) == ENDPOINTS * EVENTS
    for delivery in deliveries:
        statuses = [status for _, status in hooks.seen[delivery.id]]
        assert delivery.status is DeliveryStatus.DELIVERED
        assert statuses.count(200) == 1
        assert len(statuses) <= MAX_ATTEMPTS


def test_a_secret_that_changes_during_the_outage_signs_from_then_on() -> None:
    hooks = Hooks(answer=lambda at: 200 if at - START >= OUTAGE else 500)
    endpoint = hooks.endpoint()
    hooks.fan_out.publish(hooks.event(0))
    hooks.run(hours=30)
    made = hooks.service.rotate("ada", endpoint.id, idempotency_key=None)
    hooks.run(hours=70)

    assert made.endpoint.secret != endpoint.secret
    assert hooks.log(endpoint)[0].status is DeliveryStatus.DELIVERED


def test_an_endpoint_that_is_gone_is_asked_once_and_never_again() -> None:
    hooks = Hooks(answer=lambda _at: 410)
    endpoint = hooks.endpoint()
    hooks.fan_out.publish(hooks.event(0))
    hooks.run(hours=1)
    hooks.fan_out.publish(hooks.event(1))
    hooks.run(hours=100)

    (only,) = hooks.log(endpoint)
    assert (only.status, len(hooks.ports.sender.sent)) == (DeliveryStatus.FAILED, 1)
    disabled = hooks.service.get("ada", endpoint.id)
    assert disabled.disabled_at is not None
    assert "410" in str(disabled.disabled_reason)


def test_one_that_never_answers_fails_for_good_and_can_be_replayed() -> None:
    hooks = Hooks(answer=lambda _at: 500)
    endpoint = hooks.endpoint()
    hooks.fan_out.publish(hooks.event(0))
    hooks.run(hours=200)
    (lost,) = hooks.log(endpoint)
    assert (lost.status, len(hooks.seen[lost.id])) == (DeliveryStatus.FAILED, MAX_ATTEMPTS)

    hooks.answer = lambda _at: 204
    again = hooks.service.replay("ada", endpoint.id, lost.id)
    hooks.run(hours=1)

    (replayed,) = hooks.log(endpoint)
    assert (again.round, replayed.status, replayed.reason) == (2, DeliveryStatus.DELIVERED, None)
    assert [attempt.status_code for attempt in replayed.attempts] == [500] * MAX_ATTEMPTS + [204]
    assert len(hooks.seen[lost.id]) == MAX_ATTEMPTS + 1


@pytest.mark.parametrize("seed", range(3))
def test_a_sender_that_dies_now_and_then_loses_nothing(seed: int) -> None:
    """Dying comes after the receiver has the request and before its row says so, which is the worst moment."""
    chance = random.Random(seed)
    hooks = Hooks()

    def answer(at: datetime) -> int:
        if chance.random() < 0.2:
            raise Died
        return 200

    hooks.answer = answer
    endpoint = hooks.endpoint()
    for number in range(EVENTS):
        hooks.fan_out.publish(hooks.event(number))
        hooks.run(hours=0.1)
    hooks.run(hours=30)

    assert hooks.deaths.total() > 5
    assert {each.status for each in hooks.log(endpoint)} == {DeliveryStatus.DELIVERED}
    assert all(len(requests) == 1 for requests in hooks.seen.values())
    assert len(hooks.ports.sender.sent) == EVENTS + hooks.deaths.total()


def test_a_delivery_that_kills_every_sender_is_given_up_after_as_many_attempts_as_any_other() -> None:
    def kills(_at: datetime) -> int:
        raise Died

    hooks = Hooks(answer=kills)
    endpoint = hooks.endpoint()
    hooks.fan_out.publish(hooks.event(0))
    hooks.run(hours=100)

    (given_up,) = hooks.log(endpoint)
    assert len(hooks.ports.sender.sent) == MAX_ATTEMPTS
    assert (given_up.status, given_up.attempts_made) == (DeliveryStatus.FAILED, MAX_ATTEMPTS)
    assert "never ended" in str(given_up.reason)

    hooks.answer = lambda _at: 200
    hooks.service.replay("ada", endpoint.id, given_up.id)
    hooks.run(hours=1)
    assert hooks.log(endpoint)[0].status is DeliveryStatus.DELIVERED


def test_doubled_messages_make_exactly_the_requests_that_single_ones_make() -> None:
    chance = random.Random(7)
    once, doubled = Hooks(), Hooks(mangle=lambda ref: [ref] * chance.choice([1, 2, 3]))
    for hooks in (once, doubled):
        a_world_in_outage(hooks)

    def requests(hooks: Hooks) -> list[tuple[str, str, int]]:
        sent = ((each, json.loads(each.body)["sequence"]) for each in hooks.ports.sender.sent)
        return sorted((each.url, each.headers["webhook-timestamp"], sequence) for each, sequence in sent)

    assert requests(once) == requests(doubled)


def test_events_in_the_middle_of_an_outage_need_only_the_attempts_that_are_left_of_it() -> None:
    """One event every 43 minutes through all of it: each is attempted at its instants until the first that succeeds."""
    hooks = Hooks(answer=lambda at: 200 if at - START >= OUTAGE else 500)
    endpoint = hooks.endpoint()
    for number in range(EVENTS):
        hooks.fan_out.publish(hooks.event(number))
        hooks.run(hours=43 / 60)
    hooks.run(hours=30)

    needed = []
    for delivery in hooks.log(endpoint):
        at, planned = delivery.created_at, [delivery.created_at]
        for delay in DELAYS:
            if at - START >= OUTAGE:
                break
            at += delay
            planned.append(at)
        assert [moment for moment, _ in hooks.seen[delivery.id]] == planned
        needed.append(len(planned))
    assert (min(needed), max(needed)) == (5, MAX_ATTEMPTS)
    print(f"outage: {EVENTS} events through 72 h, each attempted as often as needed: {min(needed)} to {max(needed)} times")


def test_one_that_changed_its_address_is_not_disabled_for_what_the_old_one_said() -> None:
    hooks = Hooks()
    endpoint = hooks.endpoint()

    def moves(_at: datetime) -> int:
        hooks.clock.advance(1)
        hooks.service.update("ada", endpoint.id, Wish(url="https://elsewhere.example/hook"))
        return 410

    hooks.answer = moves
    hooks.fan_out.publish(hooks.event(0))
    hooks.run(hours=1)

    assert hooks.service.get("ada", endpoint.id).disabled_at is None
