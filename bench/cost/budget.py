"""The budget: what each scenario may use in jobs of its small sizes. ``python -m bench.cost.budget`` counts anew and writes it.

Whoever makes a change that costs more writes the budget anew in the same commit, so that the price of the change is read.
"""

import json
from pathlib import Path

from bench.cost.count import count
from bench.cost.prices import Item, Usage
from bench.cost.scale import scaled
from bench.cost.scenarios import SCENARIOS, Scenario

PATH = Path(__file__).with_name("budget.json")
MAY_GROW = 0.02
_DIGITS = 6

Budget = dict[str, dict[str, dict[str, float]]]


def counted(scenario: Scenario) -> dict[str, dict[str, float]]:
    """What is billed for each unit of a job, for a job besides its units, and for the heartbeats of a unit.

    A job of one unit has all of its cost under "unit".
    """
    jobs = [count(scenario.manifest(size)) for size in scenario.small]
    found = scaled([(job.units, job.job) for job in jobs], units=1)
    each, besides = (found.slope, found.fixed) if len(jobs) > 1 else (found.unit, Usage())
    parts = {
        "unit": each.control_plane,
        "job": besides.control_plane,
        "heartbeats": jobs[-1].beating,
        "store": found.unit.store,
    }
    return {name: _plain(usage) for name, usage in parts.items()}


def read() -> Budget:
    return json.loads(PATH.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def dollars(counts: dict[str, float]) -> float:
    return Usage({Item(name): count for name, count in counts.items()}).dollars()


def overspent(counts: dict[str, float], allowed: dict[str, float]) -> str:
    """Which items are used more than the budget allows, dearest growth first; nothing while the sum stays within it."""
    if dollars(counts) <= dollars(allowed) * (1 + MAY_GROW):
        return ""
    growth = {name: count - allowed.get(name, 0) for name, count in counts.items() if count > allowed.get(name, 0)}
    dearest = sorted(growth, key=lambda name: -dollars({name: growth[name]}))
    return ", ".join(f"{name} {allowed.get(name, 0):g} -> {counts[name]:g}" for name in dearest)


def write() -> None:
    budget = {scenario.name: counted(scenario) for scenario in SCENARIOS}
    PATH.write_text(json.dumps(budget, indent=2) + "\n", encoding="utf-8")
    for name, parts in budget.items():
        print(name, {part: f"${dollars(counts) * 1_000_000:.2f} per million" for part, counts in parts.items()})


def _plain(usage: Usage) -> dict[str, float]:
    return {str(item): round(usage[item], _DIGITS) for item in Item if usage[item]}


if __name__ == "__main__":
    write()
