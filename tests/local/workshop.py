"""Makes functions, tables, queues and state machines on a private emulator."""

import io
import json
import textwrap
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from local.testing import PrivateEmulator

_TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}]}
_EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
_numbers = count(1)


def eventually(condition: Callable[[], Any], *, seconds: float = 15.0) -> Any:
    """The first truthy answer of `condition`; fails when there was none in time."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        pause.wait(0.05)
    pytest.fail(f"not within {seconds} s")


@dataclass
class Workshop:
    """Makes resources with names of their own on one emulator."""

    emulator: PrivateEmulator

    def client(self, service: str) -> Any:
        return self.emulator.root.client(service)

    def role(self) -> str:
        iam = self.client("iam")
        name = f"role-{next(_numbers)}"
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(_TRUST))["Role"]["Arn"]
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(_EVERYTHING))
        return str(arn)

    def function(self, source: str, **options: Any) -> str:
        """A Python function whose module is `source`; its name."""
        name = f"function-{next(_numbers)}"
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as package:
            package.writestr("module.py", textwrap.dedent(source))
        self.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.11",
            Role=self.role(),
            Handler="module.handler",
            Code={"ZipFile": archive.getvalue()},
            Timeout=20,
            **options,
        )
        return name

    def call(self, function: str, event: object) -> tuple[Any, str | None]:
        """The answer and the function error, if any."""
        response = self.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event).encode())
        return json.loads(response["Payload"].read()), response.get("FunctionError")

    def machine(self, definition: dict[str, Any]) -> str:
        machine = self.client("stepfunctions").create_state_machine(
            name=f"machine-{next(_numbers)}", definition=json.dumps(definition), roleArn=self.role()
        )
        return str(machine["stateMachineArn"])

    def start(self, machine: str, *, name: str | None = None, given: object = None) -> str:
        request: dict[str, Any] = {"stateMachineArn": machine, "input": json.dumps(given or {})}
        execution = self.client("stepfunctions").start_execution(**request, **({"name": name} if name else {}))
        return str(execution["executionArn"])

    def ended(self, execution: str) -> Any:
        """The execution's description when it is over, else None."""
        found = self.client("stepfunctions").describe_execution(executionArn=execution)
        return None if found["status"] == "RUNNING" else found

    def streamed_table(self) -> tuple[str, str]:
        """Name and stream ARN of a table keyed by `pk`."""
        name = f"table-{next(_numbers)}"
        table = self.client("dynamodb").create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )["TableDescription"]
        return name, str(table["LatestStreamArn"])

    def table(self) -> str:
        return self.streamed_table()[0]

    def queue(self) -> tuple[str, str]:
        """URL and ARN."""
        sqs = self.client("sqs")
        url = sqs.create_queue(QueueName=f"queue-{next(_numbers)}")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        return str(url), str(arn)

    def wait_for_snapshot(self) -> None:
        """Return when the emulator has written down everything that was there when this was called."""
        snapshot = self.emulator.layout.state / "services" / "snapshot.json"
        asked = time.time()

        def written() -> bool:
            # A snapshot follows a request. One that was being taken when this was called may be the last for a while.
            self.client("sqs").list_queues()
            return snapshot.exists() and snapshot.stat().st_mtime > asked + 0.5

        eventually(written, seconds=30)
