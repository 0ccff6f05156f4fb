"""Step Functions: a small interpreter of the deployed definition. It holds the task tokens and answers the clients' calls."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from gpupool.clock import Clock
from tests.cloud.calls import json_answer
from tests.cloud.functions import Functions, Result
from tests.cloud.language import choose, put, shaped

Json = Any
_DIRECT = ":function:"
_WAITS = ":states:::lambda:invoke.waitForTaskToken"
_INVOKE = ":states:::lambda:invoke"
_START = ":states:::states:startExecution"
_ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


class Refused(Exception):
    """What a call to Step Functions is refused with."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(eq=False)
class Execution:
    """One execution. ``due`` is when it acts next; while it waits with ``token``, when the wait times out."""

    machine: str
    name: str
    input: Json
    due: float
    data: Json = None
    state: str = ""
    entered: str = ""
    retries: dict[int, int] = field(default_factory=dict)
    token: str | None = None
    status: str = "RUNNING"
    output: Json = None
    cause: str = ""
    ends_at: float = float("inf")
    ended_at: float | None = None
    path: list[str] = field(default_factory=list)

    @property
    def arn(self) -> str:
        return f"{self.machine.replace(':stateMachine:', ':execution:')}:{self.name}"

    @property
    def is_running(self) -> bool:
        return self.status == "RUNNING"


class States:
    """``ended`` is called with an execution that did not succeed."""

    def __init__(self, definitions: dict[str, Json], *, rooms: dict[str, str], functions: Functions, clock: Clock) -> None:
        self._definitions = definitions
        self._rooms = rooms
        self._functions = functions
        self._clock = clock
        self.executions: dict[str, Execution] = {}
        self.ended: Callable[[Execution], None] = lambda _execution: None
        self._tokens = 0

    # What clients ask.

    def answer(self, operation: str, request: AWSPreparedRequest) -> AWSResponse:
        """A request of a client, answered as Step Functions does."""
        asked = json.loads(str(request.body, "utf-8") if isinstance(request.body, bytes) else str(request.body))
        try:
            return json_answer(request, 200, json.dumps(self._called(operation, asked)))
        except Refused as refusal:
            return json_answer(request, 400, json.dumps({"__type": refusal.code, "message": refusal.code}))

    def _called(self, operation: str, asked: Json) -> Json:
        if operation == "StartExecution":
            execution = self.start(asked["stateMachineArn"], asked["name"], json.loads(asked["input"]))
            return {"executionArn": execution.arn, "startDate": self._now}
        if operation == "SendTaskSuccess":
            self._waiting(asked["taskToken"], lambda each: self._done(each, json.loads(asked["output"])))
            return {}
        if operation == "SendTaskFailure":
            failure = Result(error=asked.get("error", "Error"), cause=asked.get("cause", ""))
            self._waiting(asked["taskToken"], lambda each: self._failed(each, failure))
            return {}
        if operation == "DescribeExecution":
            return self._described(asked["executionArn"])
        raise NotImplementedError(f"StepFunctions.{operation}; teach tests/cloud/states.py")

    def start(self, machine: str, name: str, given: Json) -> Execution:
        """A new execution; one that runs with the same name and input is that one."""
        known = next((each for each in self.executions.values() if (each.machine, each.name) == (machine, name)), None)
        if known is not None:
            if known.is_running and known.input == given:
                return known
            raise Refused("ExecutionAlreadyExists")
        if machine not in self._definitions:
            raise Refused("StateMachineDoesNotExist")
        definition = self._definitions[machine]
        execution = Execution(machine, name, given, self._now, data=given)
        execution.ends_at = self._now + float(definition.get("TimeoutSeconds", float("inf")))
        self.executions[execution.arn] = execution
        self._enter(execution, definition["StartAt"])
        return execution

    def stop(self, execution: Execution) -> None:
        """As an operator does."""
        self._end(execution, "ABORTED", cause="stopped")

    # What moves executions.

    def ready(self) -> list[Execution]:
        """Those that would act now."""
        return [each for each in self.executions.values() if each.is_running and min(each.due, each.ends_at) <= self._now]

    def next_at(self) -> float | None:
        times = [min(each.due, each.ends_at) for each in self.executions.values() if each.is_running]
        return min(times) if times else None

    def step(self, execution: Execution) -> None:
        """Performs the state that the execution is in."""
        if execution.ends_at <= self._now:
            self._end(execution, "TIMED_OUT", cause="the execution took too long")
        elif execution.token is not None:
            self._failed(execution, Result(error="States.Timeout", cause="nobody answered the token in time"))
        else:
            self._perform(execution)

    @property
    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _perform(self, execution: Execution) -> None:
        state = self._state(execution)
        if state["Type"] == "Task":
            self._task(execution, state)
        elif state["Type"] == "Choice":
            self._enter(execution, choose(state, execution.data, self._context(execution)))
        elif state["Type"] == "Pass":
            self._done(execution, state.get("Result", self._parameters(execution, state)))
        elif state["Type"] == "Wait":
            self._wait(execution, state)
        elif state["Type"] == "Succeed":
            self._end(execution, "SUCCEEDED")
        elif state["Type"] == "Fail":
            self._end(execution, "FAILED", cause=state.get("Error", ""))
        else:
            raise NotImplementedError(f"a state of type {state['Type']}; teach tests/cloud/states.py")

    def _task(self, execution: Execution, state: Json) -> None:
        resource = str(state["Resource"])
        if resource.endswith(_START):
            self._start_another(execution, self._parameters(execution, state))
        elif resource.endswith(_WAITS):
            self._tokens += 1
            execution.token = f"{execution.name}/{self._tokens}"
            execution.due = self._now + float(state.get("TimeoutSeconds", float("inf")))
            asked = self._parameters(execution, state)
            self._ask(execution, str(asked["FunctionName"]), asked.get("Payload"), waits=execution.token)
        elif resource.endswith(_INVOKE):
            asked = self._parameters(execution, state)
            self._ask(execution, str(asked["FunctionName"]), asked.get("Payload"), wraps=True)
        elif _DIRECT in resource:
            self._ask(execution, resource, self._parameters(execution, state))
        else:
            raise NotImplementedError(f"a task of {resource}; teach tests/cloud/states.py")

    def _ask(
        self, execution: Execution, function: str, payload: Json, *, waits: str | None = None, wraps: bool = False
    ) -> None:
        room = self._room(function)
        trigger = f"state {execution.state}{_gist(payload)}"
        result = self._functions.invoke(room, payload, trigger=trigger)
        if waits is not None and execution.token != waits:
            return  # answered meanwhile, whatever became of the run
        if result.failed:
            self._failed(execution, result)
        elif waits is None:
            self._done(execution, {"Payload": result.value, "StatusCode": 200} if wraps else result.value)

    def _start_another(self, execution: Execution, asked: Json) -> None:
        given = asked["Input"]
        try:
            started = self.start(
                asked["StateMachineArn"], asked["Name"], json.loads(given) if isinstance(given, str) else given
            )
        except Refused as refusal:
            self._failed(execution, Result(error=f"StepFunctions.{refusal.code}Exception"))
        else:
            self._done(execution, {"ExecutionArn": started.arn, "StartDate": self._now})

    def _wait(self, execution: Execution, state: Json) -> None:
        if execution.retries.pop(-1, None):
            self._done(execution, execution.data)
            return
        execution.retries[-1] = 1
        seconds = state.get(
            "Seconds", shaped({"s.$": state["SecondsPath"]}, execution.data, {})["s"] if "SecondsPath" in state else 0
        )
        execution.due = self._now + float(seconds)

    def _done(self, execution: Execution, result: Json) -> None:
        state = self._state(execution)
        if "ResultSelector" in state:
            result = shaped(state["ResultSelector"], result, self._context(execution))
        execution.data = put(execution.data, state.get("ResultPath", "$"), result)
        if state.get("End"):
            self._end(execution, "SUCCEEDED")
        else:
            self._enter(execution, state["Next"])

    def _failed(self, execution: Execution, failure: Result) -> None:
        """Retries as the state says, else goes where it catches, else fails the execution."""
        state = self._state(execution)
        execution.token = None
        for at, rule in enumerate(state.get("Retry", [])):
            if not _speaks_of(rule, failure):
                continue
            made = execution.retries.get(at, 0)
            if made >= rule.get("MaxAttempts", 3):
                break
            execution.retries[at] = made + 1
            pause = rule.get("IntervalSeconds", 1) * rule.get("BackoffRate", 2.0) ** made
            execution.due = self._now + min(pause, rule.get("MaxDelaySeconds", pause))
            return
        for rule in state.get("Catch", []):
            if _speaks_of(rule, failure):
                told = {"Error": failure.error, "Cause": failure.cause}
                execution.data = put(execution.data, rule.get("ResultPath", "$"), told)
                self._enter(execution, rule["Next"])
                return
        self._end(execution, "FAILED", cause=f"{failure.error}: {failure.cause}")

    def _enter(self, execution: Execution, name: str) -> None:
        execution.state, execution.token, execution.retries = name, None, {}
        execution.due = self._now
        now = self._clock.now()
        # Two states are never entered in the same millisecond.
        entered = now + timedelta(milliseconds=len(execution.path))
        execution.entered = f"{entered:%Y-%m-%dT%H:%M:%S}.{entered.microsecond // 1000:03d}Z"
        execution.path.append(name)

    def _end(self, execution: Execution, status: str, *, cause: str = "") -> None:
        execution.status, execution.cause, execution.token = status, cause, None
        execution.output, execution.ended_at = execution.data, self._now
        if status != "SUCCEEDED":
            self.ended(execution)

    def _waiting(self, token: str, act: Callable[[Execution], None]) -> None:
        if not token:
            raise Refused("InvalidToken")
        found = next((each for each in self.executions.values() if each.token == token and each.is_running), None)
        if found is None:
            raise Refused("TaskTimedOut")
        act(found)

    def _described(self, arn: str) -> Json:
        found = self.executions.get(arn)
        if found is None:
            raise Refused("ExecutionDoesNotExist")
        facts = {"executionArn": arn, "stateMachineArn": found.machine, "name": found.name, "status": found.status}
        ended = {} if found.ended_at is None else {"stopDate": found.ended_at}
        return facts | {"startDate": 0, "input": json.dumps(found.input)} | ended

    def _state(self, execution: Execution) -> Json:
        return self._definitions[execution.machine]["States"][execution.state]

    def _parameters(self, execution: Execution, state: Json) -> Json:
        given = execution.data
        if "InputPath" in state:
            given = shaped({"i.$": state["InputPath"]}, given, self._context(execution))["i"]
        return shaped(state["Parameters"], given, self._context(execution)) if "Parameters" in state else given

    def _context(self, execution: Execution) -> Json:
        return {
            "Task": {"Token": execution.token},
            "State": {
                "Name": execution.state,
                "EnteredTime": execution.entered,
                "RetryCount": sum(execution.retries.values()),
            },
            "Execution": {"Id": execution.arn, "Name": execution.name, "Input": execution.input},
            "StateMachine": {"Id": execution.machine},
        }

    def _room(self, function: str) -> str:
        return next(room for arn, room in self._rooms.items() if function in (arn, arn.rpartition(":")[2]))


def _speaks_of(rule: Json, failure: Result) -> bool:
    named = rule["ErrorEquals"]
    everything = "States.ALL" in named or ("States.TaskFailed" in named and failure.error != "States.Timeout")
    return everything or failure.error in named


def _gist(payload: Json) -> str:
    """What tells one input of a step from another: its words, not its ids."""
    words = [f"{name}={value}" for name, value in sorted((payload or {}).items()) if name in ("outcome",)]
    error = " after an error" if (payload or {}).get("error") else ""
    return f" {' '.join(words)}{error}".rstrip()
