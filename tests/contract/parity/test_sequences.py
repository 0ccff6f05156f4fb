"""The same sequence of operations, in memory and on AWS's emulations: the same answers, and the same end."""

import pytest

from tests.contract.both import Cloud
from tests.contract.parity.alike import play
from tests.contract.parity.jobs import Jobs
from tests.contract.parity.rooms import Accounts, Events, Nodes, Webhooks
from tests.contract.parity.units import Units

# How many sequences each plays on moto; on the emulator it is a third of them.
PLAYERS = {
    "accounts": (Accounts, 12),
    "events": (Events, 8),
    "jobs": (Jobs, 20),
    "nodes": (Nodes, 10),
    "units": (Units, 20),
    "webhooks": (Webhooks, 15),
}


@pytest.fixture(params=["moto", pytest.param("ministack", marks=pytest.mark.stack)])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("name", sorted(PLAYERS))
def test_no_sequence_tells_the_twin_from_the_adapter(name: str, kind: str, cloud: Cloud) -> None:
    player, examples = PLAYERS[name]
    play(player, cloud, examples=examples if kind == "moto" else examples // 3, length=100)
