"""Executions in Step Functions."""

import json
from typing import TYPE_CHECKING

from gpupool.dynamo import error_code
from gpupool.workflow.executions import execution_name
from gpupool.workflow.model import Outcome, Run, Step
from gpupool.workflow.wire import step_state

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

# A wait that was answered, timed out or belongs to an ended execution: whoever needed waking is awake.
_NOBODY_WAITS = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})


class StepFunctionsExecutions:
    def __init__(self, client: "SFNClient", state_machine_arn: str) -> None:
        self._client = client
        self._arn = state_machine_arn

    def start(self, job_id: str, *, generation: int = 0) -> None:
        state = {"job_id": job_id, "step": step_state(Step(Outcome.PLAN, generation=generation))}
        name = execution_name(job_id, generation)
        try:
            self._client.start_execution(stateMachineArn=self._arn, name=name, input=json.dumps(state))
        except Exception as error:
            if error_code(error) != "ExecutionAlreadyExists":
                raise

    def resume(self, task_token: str, outcome: Outcome) -> None:
        try:
            # The bare word, because it takes the place of the state's outcome and leaves the rest of the state alone.
            self._client.send_task_success(taskToken=task_token, output=json.dumps(outcome))
        except Exception as error:
            if error_code(error) not in _NOBODY_WAITS:
                raise

    def look(self, name: str) -> Run | None:
        arn = f"{self._arn.replace(':stateMachine:', ':execution:')}:{name}"
        try:
            found = self._client.describe_execution(executionArn=arn)
        except Exception as error:
            if error_code(error) == "ExecutionDoesNotExist":
                return None
            raise
        return Run(found.get("stopDate"))
