"""A code lets one machine in, once, and soon."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex

import pytest

from gpupool.clock import FixedClock
from gpupool.errors import ValidationFailed
from gpupool.nodes.memory import MemoryNodeStore
from gpupool.nodes.model import Tier
from gpupool.nodes.service import Pairing
from gpupool.wire.joining import PairRequest, PairResponse
from gpupool.world import World
from tests.support.nodes import some_capabilities


class Door:
    def __init__(self) -> None:
        self.clock = FixedClock()
        self.world = World()
        self.store = MemoryNodeStore(self.world)
        self.pairing = Pairing(store=self.store, random_hex=token_hex, clock=self.clock)

    def redeem(self, code: str) -> PairResponse:
        return self.pairing.redeem(PairRequest(code=code, name="Ada's tower", capabilities=some_capabilities()))


def test_a_code_brings_a_node_of_its_tier_and_a_device_key() -> None:
    door = Door()

    answer = door.redeem(door.pairing.create_code(Tier.COMMUNITY))

    assert answer.tier == "community"
    assert re.fullmatch(rf"nk_{answer.node_id}_[A-Za-z0-9_-]{{43}}", answer.device_key)
    node = door.store.get(answer.node_id)
    assert node is not None
    assert (node.tier, node.name, node.paired_at) == (Tier.COMMUNITY, "Ada's tower", door.clock.now())


def test_neither_the_code_nor_the_key_is_kept() -> None:
    door = Door()
    code = door.pairing.create_code(Tier.CONTROLLED)
    assert code not in repr(door.world.nodes)

    answer = door.redeem(code)

    assert answer.device_key not in repr(door.world.nodes)


def test_a_code_can_be_read_aloud_and_typed() -> None:
    code = Door().pairing.create_code(Tier.CONTROLLED)

    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{5}(-[0-9A-HJKMNP-TV-Z]{5}){2}", code)


@pytest.mark.parametrize("spell", [str.lower, lambda code: code.replace("-", " "), lambda code: code.replace("0", "o")])
def test_the_spelling_of_a_code_is_forgiven(spell: Callable[[str], str]) -> None:
    door = Door()

    assert door.redeem(spell(door.pairing.create_code(Tier.CONTROLLED))).tier == "controlled"


def test_codes_differ() -> None:
    door = Door()

    assert len({door.pairing.create_code(Tier.COMMUNITY) for _ in range(50)}) == 50


def assert_refused(door: Door, code: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        door.redeem(code)
    assert refused.value.code == "PAIRING_CODE_INVALID"
    assert refused.value.details == {"field": "/code"}


def test_a_code_works_once() -> None:
    door = Door()
    code = door.pairing.create_code(Tier.CONTROLLED)
    door.redeem(code)

    assert_refused(door, code)


def test_a_code_works_for_fifteen_minutes() -> None:
    door = Door()
    code = door.pairing.create_code(Tier.CONTROLLED)
    door.clock.advance(15 * 60)

    assert_refused(door, code)


def test_an_invented_code_is_refused() -> None:
    assert_refused(Door(), "00000-00000-00000")


def test_of_many_machines_with_one_code_one_gets_in() -> None:
    door = Door()
    code = door.pairing.create_code(Tier.COMMUNITY)

    def enter(_: int) -> bool:
        try:
            door.redeem(code)
        except ValidationFailed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(enter, range(8))) == 1
