"""The same sequence of operations, in memory and on AWS's emulations: the same answers, and the same end."""

import pytest

from tests.contract.both import Cloud, Stores
from tests.contract.parity.alike import play
from tests.contract.parity.jobs import Jobs
from tests.contract.parity.outside import Bells, Objects
from tests.contract.parity.rooms import Accounts, Events, Nodes, Webhooks
from tests.contract.parity.units import Units

# How many sequences each plays on moto; on the emulator it is a third of them.
PLAYERS = {
    "accounts": (Accounts, 12),
    "bells": (Bells, 8),
    "events": (Events, 8),
    "jobs": (Jobs, 20),
    "nodes": (Nodes, 10),
    "objects": (Objects, 12),
    "units": (Units, 20),
    "webhooks": (Webhooks, 15),
}


@pytest.fixture(params=["moto", pytest.param("ministack", marks=pytest.mark.stack)])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("name", sorted(PLAYERS))
def test_no_sequence_tells_the_twin_from_the_adapter(name: str, kind: str, cloud: Cloud) -> None:
    player, examples = PLAYERS[name]
    many = kind == "moto"
    play(player, cloud, examples=examples if many else examples // 3, length=100, to_all_verbs=many)


def test_every_store_is_played() -> None:
    played = {room for player, _ in PLAYERS.values() for room in player.ports}
    assert played == {*Stores.__annotations__, "queue", "objects"} - {"clock"}
