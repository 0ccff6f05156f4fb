"""The memory queue passes time like SQS: what was neither hidden on nor deleted comes back, and too often is dead."""

import pytest

from gpupool.clock import FixedClock
from gpupool.dispatch.memory import MemoryQueue
from gpupool.dispatch.model import QueueUrls
from gpupool.wire.joining import Doorbell

URL = "https://sqs/public-cpu"
BELL = Doorbell(job_id="job", unit_id="job.00001", attempt=0)


def a_queue(clock: FixedClock, *, max_receives: int = 20) -> MemoryQueue:
    queue = MemoryQueue(urls=QueueUrls({"public-cpu": URL}), clock=clock, max_receives=max_receives)
    queue.ring(URL, BELL, group="customer")
    return queue


def test_a_message_comes_back_when_its_visibility_lapses() -> None:
    clock = FixedClock()
    queue = a_queue(clock)
    assert queue.receive(URL) is not None

    clock.advance(29)
    assert queue.receive(URL) is None
    clock.advance(1)
    again = queue.receive(URL)

    assert again is not None
    assert again.receives == 2


def test_hiding_counts_from_now_and_not_from_the_receive() -> None:
    clock = FixedClock()
    queue = a_queue(clock)
    received = queue.receive(URL)
    assert received is not None
    clock.advance(20)

    queue.hide(received.doorway, seconds=60)

    clock.advance(59)
    assert queue.receive(URL) is None
    clock.advance(1)
    assert queue.receive(URL) is not None


def test_a_message_that_nobody_hides_in_time_cannot_be_hidden_late() -> None:
    clock = FixedClock()
    queue = a_queue(clock)
    received = queue.receive(URL)
    assert received is not None
    clock.advance(31)

    assert not queue.hide(received.doorway, seconds=600)

    assert queue.receive(URL) is not None


@pytest.mark.parametrize("seconds", [-1, 43_201])
def test_a_time_that_sqs_refuses_is_refused(seconds: int) -> None:
    queue = a_queue(FixedClock())
    received = queue.receive(URL)
    assert received is not None
    with pytest.raises(ValueError, match=f"{seconds} seconds"):
        queue.hide(received.doorway, seconds=seconds)


def test_a_message_received_too_often_becomes_a_dead_letter() -> None:
    clock = FixedClock()
    queue = a_queue(clock, max_receives=2)
    for _ in range(2):
        assert queue.receive(URL) is not None
        clock.advance(30)

    assert queue.receive(URL) is None
    assert queue.waiting(URL) == 1
    assert queue.take_dead_letters(URL) == [BELL]
    assert queue.waiting(URL) == 0
    assert queue.take_dead_letters(URL) == []
