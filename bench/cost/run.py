"""``python -m bench.cost.run``: counts the scenarios, prints the tables, draws them and answers the figures."""

from typing import Any

from bench.cost.agent import UNIT_SECONDS
from bench.cost.count import KEYS_SECONDS, WAIT_SECONDS, WINDOW, Counted, count
from bench.cost.plot import draw
from bench.cost.prices import AS_OF, Item, Usage
from bench.cost.scale import Scaled, scaled
from bench.cost.scenarios import SCENARIOS, Scenario
from bench.cost.table import CONTROL_PLANE_TARGET, HEARTBEATS_TARGET, Column, print_table, print_where, references
from local.layout import DEFAULT_LAYOUT

MACHINES = 100
_DAY = 86_400
_POLL_SECONDS = 20
_MILLION = 1_000_000
_SMALL_WINDOW = 12


def run() -> dict[str, Any]:
    """Figures as JSON values; prints tables on the way, and draws ``.local/cost.png``."""
    counted = {scenario.name: [count(scenario.manifest(size), waits=True) for size in scenario.sizes] for scenario in SCENARIOS}
    found = {scenario.name: _scaled(scenario, counted[scenario.name]) for scenario in SCENARIOS}
    refills = {scenario.name: refilling(scenario, counted[scenario.name][0], found[scenario.name]) for scenario in SCENARIOS}
    ours = [
        Column(name, each.unit + waiting(each, counted[name]) + refills[name], counted[name][-1].beating)
        for name, each in found.items()
    ]
    last = counted[SCENARIOS[0].name][-1]
    columns = ours + references(heartbeats=len(last.heartbeats))
    print_table(columns)
    for column in ours:
        print_verdict(column, found[column.name])
    idle = print_idle(last)
    for scenario in SCENARIOS:
        largest = counted[scenario.name][-1]
        print_where(f"{scenario.name}, counted at {largest.units} units", largest.charges, units=largest.units)
    path = DEFAULT_LAYOUT.home / "cost.png"
    draw(columns, path)
    print(f"\nplot: {path}")
    return {
        "prices_as_of": AS_OF,
        "dollars_per_million_units": {column.name: _figures(column) for column in columns},
        "fixed_dollars_per_job": {name: each.fixed.dollars() for name, each in found.items()},
        "dollars_a_unit_the_line_may_be_wrong": {name: each.bend for name, each in found.items()},
        "idle_dollars_per_1000_machines_and_day": idle,
    }


def print_verdict(column: Column, found: Scaled) -> None:
    """Against the targets, and how far the extrapolation can be trusted."""
    print(
        f"{column.name:24} of {found.units} units: control plane {column.control_plane:.2f}"
        f" (target {CONTROL_PLANE_TARGET:.0f}), heartbeats {column.heartbeats:.2f} (target {HEARTBEATS_TARGET:.0f});"
        f" {MACHINES} machines; a million jobs cost {found.fixed.control_plane.dollars() * _MILLION:.0f} besides their units,"
        f" a parabola through three sizes would add {found.bend * _MILLION:+.2f}"
    )


def print_idle(counted: Counted) -> dict[str, float]:
    """What a thousand machines cost in a day in which they get no work; each further queue adds its polls."""
    thousand = 1_000 * _DAY
    parts = {
        "polls of one queue": Usage.of(Item.SQS_REQUEST, thousand / _POLL_SECONDS),
        "heartbeats": counted.idle_heartbeat * (thousand / counted.idle_seconds),
        "keys": counted.keys * (thousand / KEYS_SECONDS),
    }
    dollars = {name: usage.dollars() for name, usage in parts.items()}
    print("\na thousand idle machines, a day: " + ", ".join(f"{name} ${cost:.2f}" for name, cost in dollars.items()))
    beats = len(counted.heartbeats)
    chunks = beats * Usage.of(Item.S3_PUT).dollars() * _MILLION
    print(f"steady printing adds a log chunk to each of {beats} heartbeats: ${chunks:.0f} of S3 per million units")
    return dollars


def waiting(found: Scaled, counted: list[Counted]) -> Usage:
    """What the execution's waits that run out cost per unit, while ``MACHINES`` work through the job."""
    per_wait = scaled([(each.units, each.waiting) for each in counted], units=1)
    each_time = per_wait.fixed + per_wait.slope * found.units if len(counted) > 1 else counted[0].waiting
    times = found.units * UNIT_SECONDS / MACHINES // WAIT_SECONDS
    return each_time * (times / found.units)


def refilling(scenario: Scenario, normal: Counted, found: Scaled) -> Usage:
    """What releasing a job of the size that counts windowful by windowful costs per unit. The jobs that are counted fit one
    window; the smallest of them with a small window shows what each round more costs."""
    times = max(0, found.units - WINDOW) / (WINDOW // 4)
    if not times:
        return Usage()
    bit_by_bit = count(scenario.manifest(scenario.sizes[0]), waits=True, window=_SMALL_WINDOW)
    each = (bit_by_bit.job + normal.job * -1) * (1 / (bit_by_bit.rounds - normal.rounds))
    return each * (times / found.units)


def _scaled(scenario: Scenario, counted: list[Counted]) -> Scaled:
    points = [(each.units, each.job) for each in counted]
    if len(points) == 1:
        return scaled(points, units=points[0][0])
    (small, some), (large, more) = zip(scenario.sizes[-2:], [count for count, _ in points[-2:]], strict=True)
    units = more + round((scenario.target - large) * (more - some) / (large - small))
    return scaled(points, units=units)


def _figures(column: Column) -> dict[str, float]:
    lines = {str(item): column.line(item) for item in Item if column.unit[item]}
    return lines | {"control plane": column.control_plane, "heartbeats and keys": column.heartbeats}


if __name__ == "__main__":
    run()
