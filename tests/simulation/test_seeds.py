"""The nightly simulation, small: every promise holds in the first hundred worlds."""

import pytest

from bench.simulate.run import play, report
from tests.simulation.conftest import Played

UNITS_PER_SEED = 100
SEEDS = 105
CHUNK = 15


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_every_promise_is_kept(first: int, played: Played) -> None:
    summary = play(range(first, first + CHUNK), units=UNITS_PER_SEED, bar=False)
    played.worlds += CHUNK
    played.units += summary.units
    played.faults += sum(summary.faults.values())
    played.violations += len(summary.broken)

    assert not summary.broken, "".join(report(result, units=UNITS_PER_SEED) for result in summary.broken)
    # Of a deserted world's units some are never submitted; all worlds together have more than ten thousand.
    assert summary.units >= CHUNK * UNITS_PER_SEED * 0.9
    assert len(summary.faults) >= 15
