"""Step Functions as documented: idempotent starts, timeouts, task tokens, and executions that outlive a restart."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.workshop import Workshop, eventually

pytestmark = pytest.mark.stack

KEEP_TOKEN = """
    import boto3
    def handler(event, context):
        boto3.client("dynamodb").put_item(
            TableName=event["table"], Item={"pk": {"S": event["token"]}, "attempt": {"N": str(event["attempt"])}}
        )
        if event["attempt"] in event["fail_at"]:
            raise KeyError("not yet")
"""


def _waiting_machine(workshop: Workshop, *, timeout: int = 60, **options: Any) -> str:
    """Waits for a token that its function puts into the table named in the input."""
    payload = {
        "token.$": "$$.Task.Token",
        "table.$": "$.table",
        "fail_at.$": "$.fail_at",
        "attempt.$": "$$.State.RetryCount",
    }
    wait = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"FunctionName": workshop.function(KEEP_TOKEN), "Payload": payload},
        "TimeoutSeconds": timeout,
        "End": True,
        **options,
    }
    return workshop.machine({"StartAt": "Wait", "States": {"Wait": wait}})


def _tokens(workshop: Workshop, table: str) -> list[str]:
    """The tokens in the order of their attempts."""
    items = workshop.client("dynamodb").scan(TableName=table)["Items"]
    return [item["pk"]["S"] for item in sorted(items, key=lambda item: int(item["attempt"]["N"]))]


def _answer(workshop: Workshop, token: str, output: object = "done") -> None:
    workshop.client("stepfunctions").send_task_success(taskToken=token, output=json.dumps(output))


def test_second_start_with_the_same_input_answers_like_the_first(workshop: Workshop) -> None:
    machine = workshop.machine({"StartAt": "Rest", "States": {"Rest": {"Type": "Wait", "Seconds": 60, "End": True}}})
    states = workshop.client("stepfunctions")

    first = states.start_execution(stateMachineArn=machine, name="job-1", input='{"a": 1, "b": 2}')
    second = states.start_execution(stateMachineArn=machine, name="job-1", input='{"b":2,"a":1}')

    assert second["executionArn"] == first["executionArn"]
    assert second["startDate"] == first["startDate"]
    assert len(states.list_executions(stateMachineArn=machine)["executions"]) == 1


def test_second_start_with_another_input_or_after_the_end_is_refused(workshop: Workshop) -> None:
    machine = workshop.machine({"StartAt": "Nap", "States": {"Nap": {"Type": "Wait", "Seconds": 1, "End": True}}})
    first = workshop.start(machine, name="job-1", given={"a": 1})

    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        workshop.start(machine, name="job-1", given={"a": 2})
    eventually(lambda: workshop.ended(first))
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        workshop.start(machine, name="job-1", given={"a": 1})


def test_execution_timeout_ends_it_and_its_token(workshop: Workshop) -> None:
    table = workshop.table()
    definition = json.loads(
        workshop.client("stepfunctions").describe_state_machine(stateMachineArn=_waiting_machine(workshop))["definition"]
    )
    machine = workshop.machine({**definition, "TimeoutSeconds": 2})
    execution = workshop.start(machine, given={"table": table, "fail_at": []})
    token = eventually(lambda: _tokens(workshop, table))[0]

    assert eventually(lambda: workshop.ended(execution))["status"] == "TIMED_OUT"
    with pytest.raises(ClientError, match="TaskTimedOut"):
        _answer(workshop, token)
    history = workshop.client("stepfunctions").get_execution_history(executionArn=execution)["events"]
    assert history[-1]["type"] == "ExecutionTimedOut"


def test_answered_token_resumes_once_and_then_is_stale(workshop: Workshop) -> None:
    table = workshop.table()
    execution = workshop.start(_waiting_machine(workshop), given={"table": table, "fail_at": []})
    token = eventually(lambda: _tokens(workshop, table))[0]

    _answer(workshop, token, {"outcome": "first"})
    with pytest.raises(ClientError, match="TaskTimedOut"):
        _answer(workshop, token, {"outcome": "second"})

    assert json.loads(eventually(lambda: workshop.ended(execution))["output"]) == {"outcome": "first"}
    with pytest.raises(ClientError, match="TaskTimedOut"):
        _answer(workshop, token)


def test_unknown_token_is_refused(workshop: Workshop) -> None:
    with pytest.raises(ClientError, match=r"TaskDoesNotExist|InvalidToken"):
        _answer(workshop, "never-issued")


def test_token_of_a_timed_out_state_is_stale(workshop: Workshop) -> None:
    table = workshop.table()
    machine = _waiting_machine(workshop, timeout=1)
    execution = workshop.start(machine, given={"table": table, "fail_at": []})
    token = eventually(lambda: _tokens(workshop, table))[0]

    assert eventually(lambda: workshop.ended(execution))["error"] == "States.Timeout"
    with pytest.raises(ClientError, match="TaskTimedOut"):
        _answer(workshop, token)


def test_stopped_execution_closes_its_token(workshop: Workshop) -> None:
    table = workshop.table()
    execution = workshop.start(_waiting_machine(workshop), given={"table": table, "fail_at": []})
    token = eventually(lambda: _tokens(workshop, table))[0]

    workshop.client("stepfunctions").stop_execution(executionArn=execution)

    with pytest.raises(ClientError, match="TaskTimedOut"):
        _answer(workshop, token)
    assert workshop.ended(execution)["status"] == "ABORTED"


def test_failed_invocation_fails_the_waiting_task_with_the_functions_error(workshop: Workshop) -> None:
    given = {"table": workshop.table(), "fail_at": [0]}

    ended = eventually(lambda execution=workshop.start(_waiting_machine(workshop), given=given): workshop.ended(execution))

    assert ended["status"] == "FAILED"
    assert ended["error"] == "KeyError"


def test_retry_by_error_class_hands_out_a_new_token_and_the_old_one_is_stale(workshop: Workshop) -> None:
    table = workshop.table()
    retry = [{"ErrorEquals": ["KeyError"], "IntervalSeconds": 1, "MaxAttempts": 2}]
    machine = _waiting_machine(workshop, Retry=retry)
    execution = workshop.start(machine, given={"table": table, "fail_at": [0]})
    old, new = eventually(lambda: tokens if len(tokens := _tokens(workshop, table)) == 2 else None)

    assert old != new
    with pytest.raises(ClientError, match="TaskTimedOut"):
        _answer(workshop, old, "old")
    _answer(workshop, new, "new")
    assert json.loads(eventually(lambda: workshop.ended(execution))["output"]) == "new"


@pytest.mark.parametrize("kill", [False, True], ids=["clean stop", "killed"])
def test_waiting_execution_survives_a_restart_with_its_token(workshop: Workshop, *, kill: bool) -> None:
    table = workshop.table()
    execution = workshop.start(_waiting_machine(workshop), given={"table": table, "fail_at": []})
    token = eventually(lambda: _tokens(workshop, table))[0]
    if kill:
        workshop.wait_for_snapshot()

    workshop.emulator.restart(kill=kill)

    assert workshop.ended(execution) is None
    _answer(workshop, token, "after the restart")
    assert json.loads(eventually(lambda: workshop.ended(execution))["output"]) == "after the restart"
    assert _tokens(workshop, table) == [token]


def test_execution_at_work_is_run_again_at_the_state_it_had_entered(workshop: Workshop) -> None:
    table = workshop.table()
    count = workshop.function("""
        import boto3
        def handler(event, context):
            key = {"pk": {"S": event["step"]}}
            boto3.client("dynamodb").update_item(TableName=event["table"], Key=key,
                UpdateExpression="ADD runs :one", ExpressionAttributeValues={":one": {"N": "1"}})
    """)
    resource = workshop.client("lambda").get_function(FunctionName=count)["Configuration"]["FunctionArn"]
    states: dict[str, Any] = {
        name: {
            "Type": "Task",
            "Resource": resource,
            "Parameters": {"table.$": "$.table", "step": name},
            "ResultPath": None,
            "Next": following,
        }
        for name, following in (("First", "Rest"), ("Last", "Done"))
    }
    states |= {"Rest": {"Type": "Wait", "Seconds": 3, "Next": "Last"}, "Done": {"Type": "Succeed"}}
    execution = workshop.start(workshop.machine({"StartAt": "First", "States": states}), given={"table": table})
    eventually(lambda: _runs(workshop, table))

    workshop.emulator.restart()

    assert eventually(lambda: workshop.ended(execution))["status"] == "SUCCEEDED"
    assert _runs(workshop, table) == {"First": 1, "Last": 1}


def _runs(workshop: Workshop, table: str) -> dict[str, int]:
    items = workshop.client("dynamodb").scan(TableName=table)["Items"]
    return {item["pk"]["S"]: int(item["runs"]["N"]) for item in items}
