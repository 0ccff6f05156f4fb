"""A seed is the same world every time, on every machine: whatever it finds can be looked at again."""

import os
import subprocess
import sys
from random import Random

import pytest

from bench.simulate.faults import Faults
from bench.simulate.loop import Loop, Trace
from bench.simulate.simulation import simulate
from local.layout import REPO_ROOT


def trace_of(seed: int, *, hash_seed: str) -> bytes:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "bench.simulate", "--seed", str(seed), "--trace"]
    return subprocess.run(command, env=environment, cwd=REPO_ROOT, capture_output=True, check=True).stdout


@pytest.mark.parametrize("seed", [3, 8])
def test_one_seed_makes_one_trace_whatever_the_hash_seed(seed: int) -> None:
    first, second = trace_of(seed, hash_seed="1"), trace_of(seed, hash_seed="2")

    assert first == second
    assert first.count(b"\n") > 1_000
    assert b"every promise was kept" in first


def test_a_seed_is_the_same_after_other_seeds() -> None:
    """Nothing of one world is left in the process that plays the next."""
    first: list[str] = []
    simulate(11, tell=first.append)
    simulate(12)
    second: list[str] = []
    simulate(11, tell=second.append)

    assert first == second


def test_seeds_differ() -> None:
    first: list[str] = []
    second: list[str] = []
    simulate(1, units=10, tell=first.append)
    simulate(2, units=10, tell=second.append)

    assert first != second


def test_events_happen_in_the_order_of_their_time() -> None:
    loop = Loop(Random(1), Trace())
    seen: list[tuple[float, str]] = []
    for wait, name in ((3, "late"), (1, "first"), (1, "second")):
        loop.after(wait, name, "", lambda name=name: seen.append((loop.now, name)))
    while loop.next_at is not None:
        loop.step()

    assert seen == [(1, "first"), (1, "second"), (3, "late")]


def interleaved(seed: int) -> list[str]:
    """Two acts of five port calls each, run at once."""
    loop = Loop(Random(seed), Trace())
    faults = Faults(Random(seed), loop)
    seen: list[str] = []

    def act(name: str) -> None:
        for number in range(5):
            faults.call(name, seen.append, (f"{name}{number}",), {})

    loop.strands.run([lambda: act("a"), lambda: act("b")])
    return seen


def test_acts_that_run_at_once_are_mixed_and_each_stays_in_order() -> None:
    mixes = {tuple(interleaved(seed)) for seed in range(40)}

    assert len(mixes) > 10
    for mix in mixes:
        assert [each for each in mix if each[0] == "a"] == [f"a{number}" for number in range(5)]
        assert len(mix) == 10


def test_the_same_seed_mixes_alike() -> None:
    assert all(interleaved(seed) == interleaved(seed) for seed in range(20))


def test_what_one_of_several_acts_raises_comes_out() -> None:
    loop = Loop(Random(1), Trace())

    def broken() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        loop.strands.run([broken, lambda: None])
