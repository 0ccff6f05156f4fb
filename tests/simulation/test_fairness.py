"""The noisy neighbour, small: what a flood of one customer does to the others, by how the queue orders its messages."""

import pytest

from bench.fairness.scenarios import (
    ALONE,
    DOCUMENTED,
    FIRST_COME,
    MEETING,
    SPREAD,
    UNFORGIVING,
    WINDOWED,
    Crowd,
    Size,
    Way,
    percentile,
    waits,
)

# A flood of an hour and forty minutes of work for all machines.
SMALL = Size(noisy=2_000)


def p99_ratio(crowd: Crowd, way: Way) -> float:
    alone = waits(1, crowd, SMALL, ALONE, noisy=False)
    return percentile(waits(1, crowd, SMALL, way, noisy=True), 0.99) / percentile(alone, 0.99)


def test_a_fair_queue_that_forgives_no_flood_keeps_the_others_within_the_target() -> None:
    assert p99_ratio(MEETING, UNFORGIVING) <= 1.5


@pytest.mark.parametrize("way", [FIRST_COME, DOCUMENTED], ids=lambda way: way.name)
def test_a_flood_that_was_released_at_once_delays_everybody(way: Way) -> None:
    """As documented, a group that has sent nothing for five minutes counts as quiet, and its messages are the oldest."""
    assert p99_ratio(MEETING, way) > 3


def test_a_flood_that_is_released_bit_by_bit_keeps_the_others_within_the_target() -> None:
    assert p99_ratio(MEETING, WINDOWED) <= 1.5


def test_a_flood_that_is_released_bit_by_bit_is_never_forgiven() -> None:
    beside = waits(1, SPREAD, SMALL, WINDOWED, noisy=True)
    at_once = waits(1, SPREAD, SMALL, DOCUMENTED, noisy=True)

    assert percentile(beside, 0.99) < percentile(at_once, 0.99) / 10


def test_machines_that_are_free_answer_at_once() -> None:
    alone = waits(1, SPREAD, SMALL, ALONE, noisy=False)

    assert alone[-1] < 1


def test_a_seed_waits_the_same_every_time() -> None:
    assert waits(3, MEETING, SMALL, ALONE, noisy=False) == waits(3, MEETING, SMALL, ALONE, noisy=False)


def test_percentiles_are_of_what_was_seen() -> None:
    assert [percentile([1, 2, 3, 4], share) for share in (0.0, 0.25, 0.5, 0.99, 1.0)] == [1, 1, 2, 4, 4]
