"""The state machine: what follows what, and that nothing waits for ever."""

from typing import Any

import pytest
from aws_cdk.assertions import Match

from gpupool.workflow.model import Outcome
from tests.infra.synthesised import Synthesised

TASKS = ["Plan", "Tend", "Advance", "Watch", "Finish", "Compensate"]
STATE = {"job_id.$": "$.job_id", "step.$": "$.step"}
CLOSING = {"outcome": "closing", "cursor": "", "steps": 0}


def test_it_is_standard_traced_and_logged(prod: Synthesised) -> None:
    logged = {"Level": "ALL", "IncludeExecutionData": False, "Destinations": Match.any_value()}
    prod.template.has_resource_properties(
        "AWS::StepFunctions::StateMachine",
        {
            "StateMachineName": "gpupool-training-job",
            "StateMachineType": "STANDARD",
            "TracingConfiguration": {"Enabled": True},
            "LoggingConfiguration": logged,
        },
    )


def test_an_execution_ends_within_a_week(prod: Synthesised) -> None:
    assert prod.definition["TimeoutSeconds"] == 7 * 86400


@pytest.mark.parametrize(
    ("state", "room", "payload"),
    [
        ("Plan", "plan_job", STATE),
        ("Tend", "tend_job", STATE),
        ("Finish", "close_job", STATE | {"outcome": "completed"}),
        ("Compensate", "close_job", None),
    ],
)
def test_steps_call_their_function(prod: Synthesised, state: str, room: str, payload: dict[str, str] | None) -> None:
    step = _state(prod, state)
    assert step["Resource"] == f"Function:gpupool-{room.replace('_', '-')}"
    assert step.get("Parameters") == payload


def test_advance_waits_for_its_token(prod: Synthesised) -> None:
    step = _state(prod, "Advance")
    assert step["Resource"].endswith(":states:::lambda:invoke.waitForTaskToken")
    assert step["Parameters"]["Payload"] == {
        "job_id.$": "$.job_id",
        "task_token.$": "$$.Task.Token",
        "entered.$": "$$.State.EnteredTime",
        "retry.$": "$$.State.RetryCount",
    }


@pytest.mark.parametrize("state", TASKS)
def test_every_task_has_a_timeout_and_is_retried_with_growing_pauses(prod: Synthesised, state: str) -> None:
    step = _state(prod, state)
    assert step["TimeoutSeconds"] > 0
    assert all(retry["BackoffRate"] > 1 and retry["MaxAttempts"] >= 3 for retry in step["Retry"])
    covered = {error for retry in step["Retry"] for error in retry["ErrorEquals"]}
    assert {"Lambda.ServiceException", "Lambda.TooManyRequestsException"} <= covered or "States.ALL" in covered


def test_a_task_outlives_its_function(prod: Synthesised) -> None:
    for state, room in (("Plan", "plan_job"), ("Finish", "close_job"), ("Compensate", "close_job")):
        assert _state(prod, state)["TimeoutSeconds"] > prod.functions[room]["Timeout"]


@pytest.mark.parametrize("state", ["Plan", "Tend", "Advance", "Watch"])
def test_an_error_is_compensated(prod: Synthesised, state: str) -> None:
    last = _state(prod, state)["Catch"][-1]
    assert last == {"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": f"Note{state}Error"}
    note = _state(prod, f"Note{state}Error")
    error = {"Step": state, "Error.$": "$.error.Error", "Cause.$": "$.error.Cause"}
    assert note["Parameters"] == {"job_id.$": "$.job_id", "outcome": "failed", "step": CLOSING, "error": error}
    assert note["Next"] == "Compensate"


def test_a_wake_up_call_that_never_came_is_not_an_error(prod: Synthesised) -> None:
    for state in ("Advance", "Watch"):
        assert _state(prod, state)["Catch"][0] == {"ErrorEquals": ["States.Timeout"], "ResultPath": None, "Next": "Tend"}


@pytest.mark.parametrize(
    ("state", "path"),
    [
        ("Plan", "$.step"),
        ("Tend", "$.step"),
        ("Advance", "$.step.outcome"),
        ("Watch", "$.step.outcome"),
        ("Compensate", "$.step"),
    ],
)
def test_a_page_says_where_the_next_one_begins(prod: Synthesised, state: str, path: str) -> None:
    assert _state(prod, state)["ResultPath"] == path


def test_giving_up_starts_at_the_first_unit(prod: Synthesised) -> None:
    assert _state(prod, "GiveUp")["Parameters"]["step"] == CLOSING


@pytest.mark.parametrize(
    ("outcome", "following"),
    [
        (Outcome.ADVANCE, ["Advance"]),
        (Outcome.WATCH, ["Watch"]),
        (Outcome.PLAN, ["Plan"]),
        (Outcome.TEND, ["Tend"]),
        (Outcome.RENEWED, ["Renewed"]),
        (Outcome.COMPLETED, ["Finish"]),
        (Outcome.FAILED, ["GiveUp", "Compensate", "Why"]),
        (Outcome.CANCELLED, ["GiveUp", "Compensate", "Why"]),
    ],
)
def test_the_outcome_decides_what_follows(prod: Synthesised, outcome: Outcome, following: list[str]) -> None:
    assert {_state(prod, state)["Next"] for state in ("Plan", "Tend", "Advance", "Watch")} == {"WhatNext"}
    current = _chosen(_state(prod, "WhatNext"), outcome)
    for name in following:
        assert current == name
        current = _state(prod, name).get("Next", "")


def test_an_execution_ends_with_its_finished_job(prod: Synthesised) -> None:
    assert _state(prod, "Finish")["End"] is True


def test_only_the_platforms_errors_fail_an_execution(prod: Synthesised) -> None:
    why = _state(prod, "Why")
    assert why["Choices"] == [
        {"Variable": "$.step.outcome", "StringEquals": "closing", "Next": "Compensate"},
        {"Variable": "$.error", "IsPresent": True, "Next": "Aborted"},
    ]
    assert _state(prod, "Aborted")["Type"] == "Fail"
    assert _state(prod, why["Default"])["Type"] == "Succeed"


def _state(stage: Synthesised, name: str) -> dict[str, Any]:
    return dict(stage.definition["States"][name])


def _chosen(choice: dict[str, Any], outcome: str) -> str:
    for rule in choice["Choices"]:
        alternatives = rule.get("Or", [rule])
        if any(item["Variable"] == "$.step.outcome" and item["StringEquals"] == outcome for item in alternatives):
            return str(rule["Next"])
    return str(choice["Default"])
