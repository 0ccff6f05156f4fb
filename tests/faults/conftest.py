"""The report of the crash points, at the end of the run."""

import os
from collections.abc import Iterator

import pytest

from tests.faults.forks import Forks
from tests.faults.points import Survey
from tests.faults.report import lines_of

_REPORT = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def survey(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Survey]:
    found = Survey(tmp_path_factory.mktemp("survey"))
    yield found
    pytestconfig.stash[_REPORT] = lines_of(found)


@pytest.fixture(scope="session")
def forks() -> Forks:
    """As many trials at a time as there are cores."""
    return Forks(max(1, int(os.environ.get("FAULT_WORKERS", "0")) or os.cpu_count() or 1))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = config.stash.get(_REPORT, [])
    if lines:
        terminalreporter.section("crash points")
        for line in lines:
            terminalreporter.line(line)
