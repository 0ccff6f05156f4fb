"""Small states belong to the fault suite, and say how many were asked."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

_HERE = Path(__file__).parent
_ASKED = pytest.StashKey[list[int]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.faults)


@pytest.fixture
def each(pytestconfig: pytest.Config) -> Iterator[Callable[[Iterable[Any]], Iterator[Any]]]:
    """Hands out states one by one and counts them: a test that was asked for none could not fail."""
    counts: list[int] = []

    def hand_out(states: Iterable[Any]) -> Iterator[Any]:
        place = len(counts)
        counts.append(0)
        for state in states:
            counts[place] += 1
            yield state

    yield hand_out
    assert all(counts)
    pytestconfig.stash.setdefault(_ASKED, []).append(sum(counts))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    counts = config.stash.get(_ASKED, [])
    if counts:
        terminalreporter.section("small states")
        terminalreporter.line(f"small states: {sum(counts):,} asked of {len(counts)} decisions, each against its rule")
