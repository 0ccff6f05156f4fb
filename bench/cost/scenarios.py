"""The jobs whose cost is counted, at sizes that can be run, and at the size they stand for."""

from collections.abc import Callable
from dataclasses import dataclass

_MAPS_PER_COMBINE = 24


@dataclass(frozen=True)
class Scenario:
    """``manifest(n)`` describes a job of ``n`` parts. Those of ``sizes`` are counted, and what ``target`` parts cost follows
    from them; the budget is held at the sizes of ``small``."""

    name: str
    manifest: Callable[[int], str]
    sizes: tuple[int, ...]
    target: int
    small: tuple[int, ...]


def single_unit(_parts: int) -> str:
    return _dag(_unit("only"))


def map_reduce(maps: int) -> str:
    """A split, the maps, a combine for each 24 of them, and the reduce of all combines."""
    names = [f"map_{number:04d}" for number in range(maps)]
    blocks = [names[at : at + _MAPS_PER_COMBINE] for at in range(0, maps, _MAPS_PER_COMBINE)]
    units = [_unit("split")]
    for number, block in enumerate(blocks):
        units += [*(_unit(name, "split") for name in block), _unit(f"combine_{number:02d}", *block)]
    return _dag(*units, _unit("reduce", *(f"combine_{number:02d}" for number in range(len(blocks)))))


def sweep(trials: int) -> str:
    """Each trial is a training and its evaluation, so there are about twice as many units."""
    rates = ", ".join(f"{0.0001 * (number + 1):.4f}" for number in range(trials))
    return (
        '[package]\nentry = "train.py"\n[parameters]\nrate = 0.1\n[strategy]\nkind = "sweep"\n[evaluate]\nentry = "train.py"\n'
        f'[sweep]\nobjective = "test_accuracy"\ngoal = "maximize"\ngrid = {{rate = [{rates}]}}\n'
    )


# Sizes are beyond what the outbox opens by itself (``FAN_OUT``), for that is what a large job does.
SCENARIOS = (
    Scenario("single-unit jobs", single_unit, sizes=(1,), target=1, small=(1,)),
    Scenario("1,000-unit map-reduce", map_reduce, sizes=(48, 72, 96), target=960, small=(2, 6)),
    Scenario("1,000-trial sweep", sweep, sizes=(30, 40, 50), target=1_000, small=(2, 4)),
)


def _dag(*units: str) -> str:
    return '[strategy]\nkind = "dag"\n' + "".join(units)


def _unit(name: str, *needs: str) -> str:
    wanted = ", ".join(f'"{need}"' for need in needs)
    return f'[[units]]\nname = "{name}"\nentry = "train.py"\nkind = "cpu"\nneeds = [{wanted}]\n'
