"""Executions in Step Functions."""

import json
from typing import TYPE_CHECKING

from gpupool.dynamo import error_code
from gpupool.workflow.model import Outcome

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

# A wait that was answered, timed out or belongs to an ended execution: whoever needed waking is awake.
_NOBODY_WAITS = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})


class StepFunctionsExecutions:
    def __init__(self, client: "SFNClient", state_machine_arn: str) -> None:
        self._client = client
        self._arn = state_machine_arn

    def start(self, job_id: str) -> None:
        try:
            self._client.start_execution(stateMachineArn=self._arn, name=job_id, input=json.dumps({"job_id": job_id}))
        except Exception as error:
            if error_code(error) != "ExecutionAlreadyExists":
                raise

    def resume(self, task_token: str, outcome: Outcome) -> None:
        try:
            self._client.send_task_success(taskToken=task_token, output=json.dumps({"outcome": str(outcome)}))
        except Exception as error:
            if error_code(error) not in _NOBODY_WAITS:
                raise
