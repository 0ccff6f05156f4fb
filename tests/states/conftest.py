"""Small states belong to the fault suite, and say how many were asked."""

from collections.abc import Callable
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_ASKED = pytest.StashKey[list[int]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.faults)


@pytest.fixture
def asked(pytestconfig: pytest.Config) -> Callable[[int], None]:
    """Notes how many states a test has asked; none would be a check that cannot fail."""

    def note(states: int) -> None:
        assert states > 0
        pytestconfig.stash.setdefault(_ASKED, []).append(states)

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    counts = config.stash.get(_ASKED, [])
    if counts:
        terminalreporter.section("small states")
        terminalreporter.line(f"small states: {sum(counts):,} asked of {len(counts)} decisions, each against its rule")
