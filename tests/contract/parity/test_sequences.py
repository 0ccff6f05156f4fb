"""The same sequence of operations, in memory and on AWS's emulations: the same answers, and the same end."""

import pytest

from tests.contract.both import Cloud, Stores
from tests.contract.parity.alike import play
from tests.contract.parity.jobs import Jobs
from tests.contract.parity.moves import Moves
from tests.contract.parity.outside import Bells, Objects
from tests.contract.parity.rooms import Accounts, Events, Nodes, Webhooks
from tests.contract.parity.units import Units

# How many sequences each plays on either emulation: other ones, as what twins and adapters differ in shows on both.
PLAYERS = {
    "accounts": (Accounts, 4),
    "bells": (Bells, 3),
    "events": (Events, 3),
    "jobs": (Jobs, 8),
    "moves": (Moves, 6),
    "nodes": (Nodes, 4),
    "objects": (Objects, 3),
    "units": (Units, 7),
    "webhooks": (Webhooks, 6),
}


@pytest.fixture(params=["moto", pytest.param("ministack", marks=pytest.mark.stack)])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("name", sorted(PLAYERS))
def test_no_sequence_tells_the_twin_from_the_adapter(name: str, kind: str, cloud: Cloud) -> None:
    player, examples = PLAYERS[name]
    play(player, cloud, examples=examples, length=100, of=kind)


def test_every_store_is_played() -> None:
    played = {room for player, _ in PLAYERS.values() for room in player.ports}
    assert played == {*Stores.__annotations__, "queue", "objects"} - {"clock"}
