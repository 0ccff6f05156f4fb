"""Bounds of the workflow made so small that jobs of ten units reach them, as jobs of 100,000 reach the real ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from random import Random
from typing import Any

from gpupool.recovery import decide as recovery
from gpupool.units import claims, edges, inputs
from gpupool.workflow import decide, planning, rounds, tending

# Where each bound is looked up, its name there, and what it may be in a seed. The last value is about the real one.
_BOUNDS: tuple[tuple[tuple[Any, ...], str, tuple[int, ...]], ...] = (
    ((planning, rounds), "PAGE", (1, 2, 5, 300)),
    ((rounds,), "_PAGES", (1, 3, 10)),
    ((decide,), "FAN_OUT", (1, 3, 25)),
    ((edges,), "MOST_OWN_NEEDS", (1, 3, 8)),
    ((edges,), "_STRETCH", (2, 5, 128)),
    ((claims, inputs), "NEEDS_PER_PAGE", (1, 3, 50)),
    # Enough for a round over a job of single pages, or no execution of it would ever get to wait.
    ((tending,), "MOST_STEPS", (30, 80, 1_000)),
)
# Where nothing goes wrong, recovery finds nothing after a minute that it would not find after half an hour.
_PATIENCE = ("STARTED_AFTER", "CLOSED_AFTER", "HEARD_AFTER", "RELEASED_AFTER", "PAID_AFTER", "TOLD_AFTER")
_A_MINUTE = timedelta(minutes=1)
# How often a round goes over everything: as often as it is asked for, or rarely in these short lives.
_WHOLE_AGAIN = (_A_MINUTE, timedelta(hours=1))


@contextmanager
def small_scale(random: Random, *, calm: bool) -> Iterator[None]:
    """The bounds of one seed; what they were before comes back afterwards."""
    before = [(module, name, getattr(module, name)) for modules, name, _ in _BOUNDS for module in modules]
    before += [(recovery, name, getattr(recovery, name)) for name in _PATIENCE]
    before += [(decide, "_WHOLE_AGAIN", decide._WHOLE_AGAIN)]
    try:
        for modules, name, values in _BOUNDS:
            drawn = random.choice(values)
            for module in modules:
                setattr(module, name, drawn)
        decide._WHOLE_AGAIN = random.choice(_WHOLE_AGAIN)
        for name in _PATIENCE if calm else ():
            setattr(recovery, name, _A_MINUTE)
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
