"""Threads that meet on few rows: some order of what they did explains what each was told, in memory and on the emulator.

moto is not atomic under threads, and has no part in this.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gpupool.clock import FixedClock
from gpupool.world import World
from tests.contract.both import Cloud, DynamoStores, MemoryStores, Stores
from tests.contract.parity.alike import SEARCH, fresh_prefix, plain
from tests.contract.parity.orders import Made, Operation, explained, run
from tests.contract.parity.races import Claims, Money
from tests.support.tables import create_tables

THREADS = 3
EXAMPLES = {"memory": 150, "ministack": 40}
Race = type[Claims] | type[Money]


@pytest.fixture(params=["memory", pytest.param("ministack", marks=pytest.mark.stack)])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def _threads_take_turns_often() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def arena(cloud: Cloud | None, race: Race, clock: FixedClock) -> tuple[Callable[[], Stores], Callable[[], None]]:
    """Makes stores over one empty world, for each thread its own, as functions have; and takes the world away."""
    if cloud is None:
        world = World()
        return lambda: MemoryStores(world, clock), lambda: None
    client, prefix = cloud("dynamodb"), fresh_prefix()
    create_tables(client, *race.tables, prefix=prefix)

    def remove() -> None:
        for name in race.tables:
            client.delete_table(TableName=prefix + name)

    return lambda: DynamoStores(client, prefix=prefix, clock=clock), remove


@pytest.mark.parametrize("race", [Claims, Money], ids=lambda race: race.__name__.lower())
def test_some_order_explains_what_threads_are_told(race: Race, kind: str, cloud: Cloud | None) -> None:
    plans = st.tuples(*(st.lists(race.operations(thread), min_size=2, max_size=4) for thread in range(THREADS)))
    # No shrinking: threads meet otherwise every time.
    how: dict[str, Any] = {"max_examples": int(SEARCH)} if SEARCH else {"max_examples": EXAMPLES[kind], "derandomize": True}

    @settings(deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), **how)
    @given(plans)
    def any_race(plans: tuple[list[Operation], ...]) -> None:
        clock = FixedClock()
        before = MemoryStores(clock=clock)
        race.begin(before)
        stores, remove = arena(cloud, race, clock)
        try:
            race.begin(stores())
            histories = run(plans, stores)
            race.check(stores(), histories)
            end = plain(race.read(stores()))
        finally:
            remove()
        of = {"world": before.world, "clock": clock, "end": end, "read": race.read}
        order = explained(histories, besides=kind != "memory", **of)
        assert order is not None, "no order explains this:\n" + "\n".join(map(repr, histories)) + f"\n{end}"

    any_race()


TAKE_OVER = Operation("take over", lambda stores, hand: stores.units.replace(stores_unit()))
LOOK = Operation("look", lambda stores, hand: stores.units.get(Claims.units[0]))


def stores_unit() -> Any:
    before = MemoryStores()
    Claims.begin(before)
    return before.units.get(Claims.units[0])


def told_alone(*operations: Operation) -> list[Any]:
    """What the operations are told one after the other; and what is read in the end."""
    stores = MemoryStores()
    Claims.begin(stores)
    return [*(plain(operation.act(stores, {})) for operation in operations), plain(Claims.read(stores))]


def order_of(*histories: tuple[Made, ...], end: Any) -> Any:
    before = MemoryStores()
    Claims.begin(before)
    return explained(histories, world=before.world, clock=FixedClock(), end=end, read=Claims.read)


def test_two_who_won_over_one_version_are_not_explained() -> None:
    won, end = told_alone(TAKE_OVER)
    refused = ["refused", "StaleWrite", ["tuple"]]
    first, second, loser = Made(TAKE_OVER, won, 0, 3), Made(TAKE_OVER, won, 1, 2), Made(TAKE_OVER, refused, 1, 2)

    assert order_of((first,), (loser,), end=end) is not None
    assert order_of((first,), (second,), end=end) is None


def test_who_begins_after_a_write_has_ended_does_not_see_what_was_before() -> None:
    old, won, end = told_alone(LOOK, TAKE_OVER)
    beside, after = Made(LOOK, old, 1, 4), Made(LOOK, old, 3, 4)

    assert order_of((Made(TAKE_OVER, won, 0, 2),), (beside,), end=end) == ("look", "take over")
    assert order_of((Made(TAKE_OVER, won, 0, 2),), (after,), end=end) is None


def test_another_end_is_not_explained() -> None:
    won, end = told_alone(TAKE_OVER)
    (start,) = told_alone()
    assert order_of((Made(TAKE_OVER, won, 0, 1),), end=end) is not None
    assert order_of((Made(TAKE_OVER, won, 0, 1),), end=start) is None
