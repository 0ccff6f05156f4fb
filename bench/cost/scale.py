"""From jobs of countable sizes to the size they stand for: what a job costs once, and what each of its units costs."""

from dataclasses import dataclass

from bench.cost.prices import Usage


@dataclass(frozen=True)
class Scaled:
    """A job uses ``fixed`` once and ``slope`` for each unit; ``unit`` is a unit's in a job of ``units``, its share of both.

    ``bend`` is how many dollars per unit a straight line may be wrong there: what a parabola through three sizes adds to the
    line through the two largest. Jobs in which every unit costs the same bend by nothing.
    """

    units: int
    unit: Usage
    fixed: Usage
    slope: Usage
    bend: float


def scaled(points: list[tuple[int, Usage]], *, units: int) -> Scaled:
    """``points`` are unit counts and what the whole jobs used, smallest first; one point stands for itself."""
    if len(points) == 1:
        ((count, used),) = points
        return Scaled(count, used * (1 / count), fixed=used, slope=Usage(), bend=0.0)
    (small, little), (large, much) = points[-2:]
    slope = (much - little) * (1 / (large - small))
    fixed = little - slope * small
    return Scaled(units, slope + fixed * (1 / units), fixed=fixed, slope=slope, bend=_bend(points[-3:], units=units))


def _bend(points: list[tuple[int, Usage]], *, units: int) -> float:
    if len(points) < 3:
        return 0.0
    (first, a), (second, b), (third, c) = [(count, used.control_plane.dollars()) for count, used in points]
    curvature = ((c - b) / (third - second) - (b - a) / (second - first)) / (third - first)
    return curvature * (units - second) * (units - third) / units
