"""The same sequence of operations, in memory and on AWS's emulations: the same answers, and the same end."""

import pytest

from tests.contract.both import Cloud
from tests.contract.parity.alike import play
from tests.contract.parity.jobs import Jobs
from tests.contract.parity.units import Units

MACHINES = {"jobs": (Jobs, 40), "units": (Units, 30)}


@pytest.fixture(params=["moto", pytest.param("ministack", marks=pytest.mark.stack)])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("name", sorted(MACHINES))
def test_no_sequence_tells_the_twin_from_the_adapter(name: str, kind: str, cloud: Cloud) -> None:
    machine, examples = MACHINES[name]
    play(machine, cloud, examples=examples if kind == "moto" else examples // 3, steps=30)
