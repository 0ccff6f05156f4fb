"""What a job is billed stays within its budget; ``python -m bench.cost.budget`` writes another one."""

import pytest

from bench.cost import budget
from bench.cost.scenarios import SCENARIOS, Scenario


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_job_costs_no_more_than_its_budget(scenario: Scenario) -> None:
    allowed = budget.read()[scenario.name]

    counted = budget.counted(scenario)

    assert counted.keys() == allowed.keys()
    for part, counts in counted.items():
        spent, may_spend = budget.dollars(counts), budget.dollars(allowed[part]) * (1 + budget.MAY_GROW)
        assert spent <= may_spend, f"{part}: {_grown(counts, allowed[part])}"


def _grown(counts: dict[str, float], allowed: dict[str, float]) -> str:
    """The items that are used more than the budget says, dearest growth first."""
    growth = {name: count - allowed.get(name, 0) for name, count in counts.items() if count > allowed.get(name, 0)}
    dearest = sorted(growth, key=lambda name: -budget.dollars({name: growth[name]}))
    return ", ".join(f"{name} {allowed.get(name, 0):g} -> {counts[name]:g}" for name in dearest)
