"""How often a machine calls while it works."""

from datetime import timedelta

import pytest

from gpupool.units.cadence import Cadence

AS_DEPLOYED = Cadence(first_seconds=45, most_seconds=300, lease_seconds=105)
ON_A_LAPTOP = Cadence(first_seconds=2, most_seconds=2, lease_seconds=8)


def beats(cadence: Cadence, until: int) -> list[int]:
    ages, age = [], 0
    while (age := age + cadence.next_beat(age)) <= until:
        ages.append(age)
    return ages


def test_ten_minutes_of_work_are_four_heartbeats_and_six_hours_are_one_every_five_minutes() -> None:
    assert beats(AS_DEPLOYED, 600) == [45, 90, 180, 360]
    assert beats(AS_DEPLOYED, 21_600)[4:7] == [660, 960, 1_260]


def test_on_a_laptop_every_heartbeat_is_as_near_as_the_first() -> None:
    assert beats(ON_A_LAPTOP, 10) == [2, 4, 6, 8, 10]


@pytest.mark.parametrize("cadence", [AS_DEPLOYED, ON_A_LAPTOP, Cadence(15, 15, 60), Cadence(30, 10, 60)])
@pytest.mark.parametrize("age", [0, 1, 44, 45, 46, 299, 300, 10_000])
def test_a_lease_lasts_over_the_next_heartbeat_and_a_grace_that_does_not_shrink(cadence: Cadence, age: int) -> None:
    grace = cadence.lease(age) - timedelta(seconds=cadence.next_beat(age))
    assert grace == timedelta(seconds=cadence.lease_seconds - cadence.first_seconds)


def test_a_machine_without_work_calls_as_rarely_as_one_whose_work_is_old() -> None:
    assert AS_DEPLOYED.idle_beat() == 300
    assert Cadence(30, 10, 60).idle_beat() == 30
