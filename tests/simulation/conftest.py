"""The simulation belongs to the fault suite, and says how much it played."""

from dataclasses import dataclass
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_PLAYED = pytest.StashKey["Played"]()


@dataclass
class Played:
    """What the seeds of this run came to."""

    worlds: int = 0
    units: int = 0
    faults: int = 0
    violations: int = 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.faults)


@pytest.fixture(scope="session")
def played(pytestconfig: pytest.Config) -> Played:
    found = pytestconfig.stash[_PLAYED] = Played()
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    found = config.stash.get(_PLAYED, None)
    if found is not None:
        terminalreporter.section("simulation")
        terminalreporter.line(
            f"simulated units: {found.units} in {found.worlds} worlds with {found.faults} faults, {found.violations} violations"
        )
