"""Every AWS call of every handler, met by every fault: whatever single thing goes wrong, nothing is lost, doubled or stuck."""

import logging
from collections.abc import Iterator

import pytest

from tests.cloud.cloud import running
from tests.cloud.functions import rooms
from tests.faults.explorer import Explorer, explore
from tests.faults.forks import Forks
from tests.faults.invariants import violations
from tests.faults.points import Survey
from tests.faults.report import uncovered
from tests.faults.scenarios import SCENARIOS
from tests.faults.world import World

pytestmark = pytest.mark.faults
_SHOWN = 5
# Fewer than the widest scenario has, so that it holds units back.
_RELEASED = "12"


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    """What goes wrong here goes wrong on purpose, a thousand times over."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def run(name: str, survey: Survey, forks: Forks, *, trying: bool) -> list[str]:
    """One run of a scenario, with trials beside it when ``trying``; what is wrong at the end of the undisturbed run."""
    with pytest.MonkeyPatch.context() as monkeypatch, running(monkeypatch, RELEASE_WINDOW=_RELEASED) as cloud:
        explorer = Explorer(name, survey, forks, trying=trying)
        explorer.watch(cloud)
        world = World(cloud, explorer)

        def whole() -> list[str]:
            SCENARIOS[name](world)
            world.finish()
            return violations(world) + ([] if explorer.trial else cloud.functions.errors)

        found = explore(whole, explorer, survey, forks)
        survey.rooms |= cloud.functions.invoked
        return found


@pytest.mark.parametrize("name", SCENARIOS)
def test_an_undisturbed_run_ends_as_it_should(name: str, survey: Survey, forks: Forks) -> None:
    assert run(name, survey, forks, trying=False) == []


@pytest.mark.parametrize("name", SCENARIOS)
def test_whatever_goes_wrong_it_ends_as_it_should(name: str, survey: Survey, forks: Forks) -> None:
    assert run(name, survey, forks, trying=True) == []

    bad = [outcome for outcome in survey.outcomes if outcome.trial.scenario == name and outcome.violations]
    shown = "\n\n".join(f"{outcome.trial}\n  " + "\n  ".join(outcome.violations) for outcome in bad[:_SHOWN])
    assert not bad, f"{len(bad)} trials went wrong:\n\n{shown}"


def test_no_point_and_no_handler_is_left_out(survey: Survey) -> None:
    assert survey.rooms == set(rooms())
    assert [str(trial) for trial in survey.lost] == []
    assert [str(point) for point in uncovered(survey)] == []
    assert len(survey.undisturbed) > 100
