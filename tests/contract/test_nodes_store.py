"""The node store's two implementations answer alike."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gpupool.errors import AlreadyExists, StaleWrite
from gpupool.nodes.model import PairingCode, Sighting, Tier
from gpupool.nodes.store import NodeStore
from tests.contract.both import Stores
from tests.support.nodes import NODE_ID, START, a_node, some_capabilities

CODE = PairingCode(code_hash="c" * 64, tier=Tier.COMMUNITY, created_at=START)


@pytest.fixture
def tables() -> tuple[str, ...]:
    return ("nodes",)


@pytest.fixture
def store(stores: Stores) -> NodeStore:
    return stores.nodes


def test_a_code_is_found_until_it_is_used(store: NodeStore) -> None:
    store.add_code(CODE)
    assert store.find_code(CODE.code_hash) == CODE

    store.redeem(CODE, a_node())

    assert store.find_code(CODE.code_hash) is None
    assert store.get(NODE_ID) == a_node()


def test_a_code_cannot_be_added_twice(store: NodeStore) -> None:
    store.add_code(CODE)

    with pytest.raises(AlreadyExists):
        store.add_code(replace(CODE, tier=Tier.CONTROLLED))

    assert store.find_code(CODE.code_hash) == CODE


def test_a_code_adds_one_node_and_no_second(store: NodeStore) -> None:
    store.add_code(CODE)
    store.redeem(CODE, a_node())

    with pytest.raises(StaleWrite):
        store.redeem(CODE, a_node(id="another"))

    assert store.get("another") is None


def test_an_expired_code_adds_nothing(store: NodeStore) -> None:
    store.add_code(CODE)

    with pytest.raises(StaleWrite):
        store.redeem(CODE, a_node(paired_at=CODE.expires_at))

    assert store.get(NODE_ID) is None


def test_a_code_in_its_last_second_still_works(store: NodeStore) -> None:
    store.add_code(CODE)
    node = a_node(paired_at=CODE.expires_at - timedelta(seconds=1))

    store.redeem(CODE, node)

    assert store.get(NODE_ID) == node


@pytest.mark.parametrize(("left", "works"), [(0.75, True), (0.25, True), (0.0, False), (-0.25, False)])
def test_a_code_that_was_made_within_a_second_expires_on_a_whole_one(store: NodeStore, left: float, works: bool) -> None:
    code = replace(CODE, created_at=START + timedelta(seconds=0.5))
    node = a_node(paired_at=code.expires_at - timedelta(seconds=left))
    store.add_code(code)
    if works:
        store.redeem(code, node)
    else:
        with pytest.raises(StaleWrite):
            store.redeem(code, node)
    assert store.get(NODE_ID) == (node if works else None)


def test_an_id_that_is_taken_keeps_its_node_and_the_code(store: NodeStore) -> None:
    store.add_code(CODE)
    store.redeem(CODE, a_node())
    second = replace(CODE, code_hash="d" * 64)
    store.add_code(second)

    with pytest.raises(StaleWrite):
        store.redeem(second, a_node(name="impostor"))

    assert store.get(NODE_ID) == a_node()
    assert store.find_code(second.code_hash) == second


def test_a_sighting_changes_what_it_tells_and_nothing_else(store: NodeStore) -> None:
    store.add_code(CODE)
    store.redeem(CODE, a_node())
    later, polled = START + timedelta(minutes=5), START + timedelta(minutes=4)

    store.seen(NODE_ID, Sighting(later, draining=True, last_poll_ok_at=polled))
    assert store.get(NODE_ID) == a_node(last_seen_at=later, draining=True, last_poll_ok_at=polled)

    found = some_capabilities(vram_mb=24_000)
    store.seen(NODE_ID, Sighting(later, capabilities=found))
    assert store.get(NODE_ID) == a_node(last_seen_at=later, draining=True, last_poll_ok_at=polled, capabilities=found)

    store.seen(NODE_ID, Sighting(later, draining=False))
    assert store.get(NODE_ID) == a_node(last_seen_at=later, draining=False, last_poll_ok_at=polled, capabilities=found)


def test_a_revoked_node_stays_and_keeps_its_first_date(store: NodeStore) -> None:
    store.add_code(CODE)
    store.redeem(CODE, a_node())

    store.revoke(NODE_ID, at=START)
    store.revoke(NODE_ID, at=START + timedelta(days=1))

    assert store.get(NODE_ID) == a_node(revoked_at=START)


def test_what_is_told_about_nobody_makes_nobody(store: NodeStore) -> None:
    store.seen("nobody", Sighting(START, draining=True))
    store.revoke("nobody", at=START)

    assert store.get("nobody") is None
