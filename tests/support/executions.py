"""A state machine in moto whose executions wait for a task token, as those of training jobs do."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest
from moto import mock_aws

from gpupool import aws
from tests.support.deployment import deployed

_DEADLINE_SECONDS = 10
_ROLE = "arn:aws:iam::123456789012:role/states"


class Executions:
    """What a test sees of the executions."""

    def __init__(self, tokens_url: str, arn: str) -> None:
        self._tokens_url = tokens_url
        self.machine_arn = arn

    def start(self, name: str) -> str:
        """A new execution; the token that it waits with."""
        aws.stepfunctions().start_execution(stateMachineArn=self.machine_arn, name=name, input="{}")
        return self.token()

    def token(self) -> str:
        """The token of an execution that began to wait."""
        body = _poll(lambda: aws.sqs().receive_message(QueueUrl=self._tokens_url).get("Messages"))[0]["Body"]
        return str(json.loads(body)["token"])

    def outcome(self, name: str) -> str:
        """What the execution was woken with."""
        ended = _poll(lambda: (found := self._describe(name))["status"] != "RUNNING" and found)
        assert ended["status"] == "SUCCEEDED", ended
        # A bare word; the emulator hands it back without its quotes.
        return str(ended["output"]).strip('"')

    def is_waiting(self, name: str) -> bool:
        return bool(self._describe(name)["status"] == "RUNNING")

    def names(self, status: str = "RUNNING") -> list[str]:
        found = aws.stepfunctions().list_executions(stateMachineArn=self.machine_arn, statusFilter=status)
        return [execution["name"] for execution in found["executions"]]

    def stop_all(self) -> None:
        for name in self.names():
            aws.stepfunctions().stop_execution(executionArn=self._arn(name))

    def _describe(self, name: str) -> Any:
        return aws.stepfunctions().describe_execution(executionArn=self._arn(name))

    def _arn(self, name: str) -> str:
        return f"{self.machine_arn.replace(':stateMachine:', ':execution:')}:{name}"


@contextmanager
def deployed_with_executions(monkeypatch: pytest.MonkeyPatch) -> Iterator[Executions]:
    """A deployment whose functions know a state machine."""
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}), deployed(monkeypatch):
        url = aws.sqs().create_queue(QueueName="task-tokens")["QueueUrl"]
        wait = {
            "Type": "Task",
            "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Parameters": {"QueueUrl": url, "MessageBody": {"token.$": "$$.Task.Token"}},
            "TimeoutSeconds": 30,
            "End": True,
        }
        definition = json.dumps({"StartAt": "Wait", "States": {"Wait": wait}})
        made = aws.stepfunctions().create_state_machine(name="training-job", definition=definition, roleArn=_ROLE)
        executions = Executions(url, made["stateMachineArn"])
        monkeypatch.setenv("STATE_MACHINE_ARN", executions.machine_arn)
        yield executions
        executions.stop_all()


def _poll(look: Any) -> Any:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    pause = Event()
    while not (found := look()):
        assert time.monotonic() < deadline, "nothing came in time"
        pause.wait(0.02)
    return found
