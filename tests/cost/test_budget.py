"""What a job is billed stays within its budget; ``python -m bench.cost.budget`` writes another one."""

import pytest

from bench.cost import budget
from bench.cost.scenarios import SCENARIOS, Scenario


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_job_costs_no_more_than_its_budget(scenario: Scenario) -> None:
    allowed = budget.read()[scenario.name]

    counted = budget.counted(scenario)

    assert counted.keys() == allowed.keys()
    assert {part: said for part, counts in counted.items() if (said := budget.overspent(counts, allowed[part]))} == {}


def test_two_percent_are_let_pass_and_more_is_named() -> None:
    allowed = {"SQS requests": 4.0, "DynamoDB write units": 10.0}

    assert budget.overspent({"SQS requests": 4.3, "DynamoDB write units": 10.0}, allowed) == ""
    more = {"SQS requests": 5.0, "DynamoDB write units": 11.0, "Step Functions transitions": 0.5}
    expected = "Step Functions transitions 0 -> 0.5, DynamoDB write units 10 -> 11, SQS requests 4 -> 5"
    assert budget.overspent(more, allowed) == expected


def test_what_gets_cheaper_elsewhere_is_no_overspending() -> None:
    assert budget.overspent({"SQS requests": 6.0}, {"SQS requests": 4.0, "DynamoDB write units": 10.0}) == ""
