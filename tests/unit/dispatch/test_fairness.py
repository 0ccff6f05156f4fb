"""Who is noisy, and whose message comes next, as SQS's developer guide has it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gpupool.clock import FixedClock
from gpupool.dispatch.fairness import RECENT, Fairness, GroupState, WorkedTime
from gpupool.dispatch.memory import MemoryQueue, Received
from gpupool.dispatch.model import QueueUrls
from gpupool.wire.joining import Doorbell

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
URL = "https://sqs/public-cpu"


def a_group(name: str = "group", **changes: Any) -> GroupState:
    return GroupState(**({"name": name, "oldest": 1, "in_flight": 0, "last_sent": NOW, "seconds": 0.0} | changes))


@pytest.mark.parametrize(
    ("mine", "all_in_flight", "noisy"),
    [(29, 29, False), (30, 30, True), (30, 299, True), (30, 300, False), (31, 300, True)],
)
def test_a_group_is_noisy_with_thirty_messages_and_a_tenth_of_all_in_flight(mine: int, all_in_flight: int, noisy: bool) -> None:
    group = a_group(in_flight=mine)

    assert Fairness().is_noisy(group, in_flight=all_in_flight, seconds=0.0, now=NOW) is noisy


@pytest.mark.parametrize(("mine", "noisy"), [(10.0, False), (10.1, True)])
def test_a_group_is_noisy_with_a_tenth_of_the_time_worked(mine: float, noisy: bool) -> None:
    assert Fairness().is_noisy(a_group(seconds=mine), in_flight=5, seconds=100.0, now=NOW) is noisy


def test_a_group_that_stopped_sending_is_forgiven_whatever_is_left_of_it() -> None:
    flood = a_group(in_flight=100, last_sent=NOW - timedelta(minutes=5))

    assert not Fairness().is_noisy(flood, in_flight=100, seconds=0.0, now=NOW)
    assert Fairness(forgiven_after=None).is_noisy(flood, in_flight=100, seconds=0.0, now=NOW)


def test_quiet_groups_come_first_the_oldest_message_before_the_others() -> None:
    groups = [a_group("noisy", oldest=1, in_flight=50), a_group("late", oldest=9), a_group("early", oldest=5)]

    assert Fairness().next_group(groups, in_flight=50, seconds=0.0, now=NOW) == "early"


def test_of_noisy_groups_the_one_with_the_fewest_in_flight_comes_first() -> None:
    groups = [a_group("more", oldest=1, in_flight=60), a_group("fewer", oldest=2, in_flight=40)]

    assert Fairness().next_group(groups, in_flight=100, seconds=0.0, now=NOW) == "fewer"


def test_worked_time_is_forgotten() -> None:
    worked = WorkedTime()
    worked.add("a", 60, now=NOW)
    worked.add("b", 30, now=NOW + timedelta(minutes=1))

    worked.forget(now=NOW + RECENT + timedelta(seconds=1))

    assert (worked.of("a"), worked.of("b"), worked.total) == (0, 30, 30)


class Street:
    """A queue with a flood of one group, forty of whose messages are being worked on."""

    def __init__(self, fairness: Fairness | None) -> None:
        self.clock = FixedClock()
        self.queue = MemoryQueue(urls=QueueUrls({"public-cpu": URL}), clock=self.clock, fairness=fairness)
        for number in range(100):
            self.ring("flood", number)
        for _ in range(40):
            self.hold(self.receive())

    def ring(self, group: str, number: int) -> None:
        self.queue.ring(URL, Doorbell(job_id=group, unit_id=f"{group}.{number:05d}", attempt=0), group=group)

    def receive(self) -> Received:
        received = self.queue.receive(URL)
        assert received is not None
        return received

    def hold(self, received: Received) -> None:
        self.queue.hide(received.doorway, seconds=3_600)


def test_a_quiet_groups_message_overtakes_a_flood() -> None:
    street = Street(Fairness())
    street.ring("quiet", 0)

    assert street.receive().bell.job_id == "quiet"
    assert street.receive().bell.job_id == "flood"


def test_without_fairness_messages_come_as_they_were_sent() -> None:
    street = Street(None)
    street.ring("quiet", 0)

    assert street.receive().bell.unit_id == "flood.00040"


def test_a_flood_that_stopped_sending_is_served_before_the_quiet_again() -> None:
    street = Street(Fairness())
    street.clock.advance(300)
    street.ring("quiet", 0)

    assert street.receive().bell.job_id == "flood"


def test_messages_deleted_or_shown_again_are_not_in_flight() -> None:
    street = Street(Fairness())
    for number in range(11):
        received = street.receive()
        if number % 2:
            street.queue.silence(received.doorway)
        else:
            street.queue.hide(received.doorway, seconds=0)
    street.ring("quiet", 0)
    held = [street.receive() for _ in range(3)]

    assert held[0].bell.job_id == "quiet"
    assert street.queue.waiting(URL) == 101 - 5


def test_many_messages_are_no_burden() -> None:
    """Each receive looks at the groups, never at the messages: the last ones come as fast as the first."""
    clock = FixedClock()
    queue = MemoryQueue(urls=QueueUrls({"public-cpu": URL}), clock=clock)
    bell = Doorbell(job_id="flood", unit_id="flood.00000", attempt=0)
    for _ in range(20_000):
        queue.ring(URL, bell, group="flood")
    received = 0
    while (message := queue.receive(URL)) is not None:
        queue.silence(message.doorway)
        received += 1

    assert received == 20_000
    assert queue.waiting(URL) == 0
    assert queue.next_visible_at(URL) is None


def test_the_next_message_is_seen_when_the_first_hidden_one_comes_back() -> None:
    street = Street(Fairness())
    clock = street.clock
    assert street.queue.next_visible_at(URL) == clock.now()
    while street.queue.receive(URL) is not None:
        pass

    assert street.queue.next_visible_at(URL) == clock.now() + timedelta(seconds=30)
