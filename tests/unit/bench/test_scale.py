"""From jobs of two or three sizes to one of any size."""

import pytest

from bench.cost.prices import Item, Usage
from bench.cost.scale import scaled


def used(writes: float) -> Usage:
    return Usage.of(Item.DYNAMODB_WRITE, writes)


def test_what_a_job_costs_once_is_shared_by_its_units() -> None:
    found = scaled([(10, used(30 + 100)), (20, used(60 + 100))], units=1_000)

    assert (found.slope[Item.DYNAMODB_WRITE], found.fixed[Item.DYNAMODB_WRITE]) == pytest.approx((3, 100))
    assert found.unit[Item.DYNAMODB_WRITE] == pytest.approx(3.1)
    assert found.bend == 0


def test_a_straight_line_does_not_bend_and_a_parabola_does() -> None:
    straight = [(count, used(3 * count + 100)) for count in (10, 20, 30)]
    curved = [(count, used(3 * count + 100 + 0.01 * count * count)) for count in (10, 20, 30)]

    assert scaled(straight, units=1_000).bend == pytest.approx(0)
    found = scaled(curved, units=1_000)
    real = used(3 * 1_000 + 100 + 0.01 * 1_000 * 1_000).dollars() / 1_000
    assert found.unit.dollars() + found.bend == pytest.approx(real)


def test_one_job_stands_for_itself() -> None:
    found = scaled([(4, used(8))], units=4)

    assert (found.units, found.unit[Item.DYNAMODB_WRITE], found.bend) == (4, 2, 0)


def test_dollars_are_list_prices_per_million() -> None:
    usage = Usage({Item.API_REQUEST: 2_000_000, Item.S3_PUT: 1_000_000, Item.STATE_TRANSITION: 4})

    assert usage.dollars() == pytest.approx(2 + 5 + 0.0001)
    assert (usage.store.dollars(), usage.control_plane.dollars()) == pytest.approx((5, 2.0001))
