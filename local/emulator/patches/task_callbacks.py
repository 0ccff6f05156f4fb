"""Task tokens (part of P3): `lambda:invoke.waitForTaskToken` fails, retries and ends as documented.

AWS: a failed invocation fails the task with the function's error; every attempt has a token of its own; an answer for
a token that was answered, timed out or whose execution ended is TaskTimedOut, and never resumes anything.
The emulator ignores a failed invocation and waits for the timeout, reuses the token for a retry, accepts a second answer
until the waiting thread wakes and an answer for a stopped execution, and lets a late failure overwrite an execution's end.
The patch waits for Lambda callbacks itself and closes tokens with their attempt. HeartbeatSeconds stays unenforced: the
project's state machine sets TimeoutSeconds only.
"""

import contextvars
import json
import time
from collections import OrderedDict
from typing import Any

from ministack.core.responses import error_response_json, new_uuid
from ministack.services import stepfunctions
from ministack.services.stepfunctions import _ExecutionError

from local.emulator.pinned import require_pinned, wrap

require_pinned()

_REMEMBERED_CLOSED_TOKENS = 10_000
_LONGEST_WAIT_SECONDS = 99_999_999  # the documented default of TimeoutSeconds

_closed: OrderedDict[str, None] = OrderedDict()
_attempt: contextvars.ContextVar[tuple[Any, Any] | None] = contextvars.ContextVar("attempt", default=None)


class ExecutionEnded(BaseException):
    """Unwinds the thread of an execution that ended meanwhile; outside Exception so that no state can catch it."""


def open_token(*, token: str, execution_arn: str, state: str, deadline: float, delivered: bool) -> Any:
    """Register a token that may be answered; `deadline` is epoch seconds, `delivered` says the function has it."""
    info = {"event": stepfunctions.threading.Event(), "result": None, "error": None, "heartbeat": None}
    info |= {"execution": execution_arn, "state": state, "deadline": deadline, "delivered": delivered}
    stepfunctions._task_tokens[token] = info
    return info


def waiting_token(*, execution_arn: str, state: str) -> str | None:
    """The token this state of the execution already handed out and still waits for, if any."""
    for (_, _, token), info in stepfunctions._task_tokens.all_items():
        if info.get("execution") == execution_arn and info.get("state") == state and info.get("delivered"):
            return str(token)
    return None


def close_tokens_of(execution_arn: str) -> None:
    """Close every token of an execution that ended, and wake the threads that wait for one."""
    for (_, _, token), info in stepfunctions._task_tokens.all_items():
        if info.get("execution") == execution_arn:
            _close(token)
            info["event"].set()


def _close(token: str) -> None:
    stepfunctions._task_tokens.pop(token, None)
    _closed[token] = None
    while len(_closed) > _REMEMBERED_CLOSED_TOKENS:
        _closed.popitem(last=False)


def _answer(original: Any, data: dict[str, Any]) -> Any:
    token = str(data.get("taskToken"))
    info = stepfunctions._task_tokens.get(token)
    if token in _closed or (info is not None and info["event"].is_set()):
        return error_response_json("TaskTimedOut", f"Task Timed Out: '{token}'", 400)
    return original(data)


def _remember_attempt(original: Any, state_def: Any, raw_input: Any, execution: Any, ctx: Any) -> Any:
    marker = _attempt.set((execution, ctx))
    try:
        return original(state_def, raw_input, execution, ctx)
    finally:
        _attempt.reset(marker)


def _function_of(resource: str, input_data: Any) -> str | None:
    clean = resource.replace(".waitForTaskToken", "")
    if "states:::lambda:invoke" not in clean:
        return None
    return str(stepfunctions._resolve_lambda_function_ref(input_data.get("FunctionName", ""), optimized=True))


def _invoke_and_wait(original: Any, resource: str, input_data: Any, token: str, state_def: Any) -> Any:
    function = _function_of(resource, input_data)
    attempt = _attempt.get()
    if function is None or attempt is None:
        return original(resource, input_data, token, state_def)
    execution, ctx = attempt
    arn, state = execution["executionArn"], ctx["State"]["Name"]
    kept = waiting_token(execution_arn=arn, state=state)
    if kept is not None:
        return _wait(kept, execution=execution)
    timeout = state_def.get("TimeoutSeconds", _LONGEST_WAIT_SECONDS)
    info = open_token(token=token, execution_arn=arn, state=state, deadline=time.time() + timeout, delivered=False)
    try:
        stepfunctions._call_lambda(function, input_data.get("Payload", {}))
        info["delivered"] = True
        return _wait(token, execution=execution)
    finally:
        _close(token)
        ctx["Task"] = {"Token": new_uuid()}


def _wait(token: str, *, execution: Any) -> Any:
    info = stepfunctions._task_tokens.get(token)
    answered = info is not None and info["event"].wait(timeout=max(0.0, info["deadline"] - time.time()))
    _close(token)
    if execution["status"] != "RUNNING":
        raise ExecutionEnded
    if not answered:
        raise _ExecutionError("States.Timeout", "")
    if info["error"]:
        raise _ExecutionError(info["error"].get("Error", ""), info["error"].get("Cause", ""))
    return json.loads(info["result"] or "{}")


def _stop(original: Any, data: dict[str, Any]) -> Any:
    response = original(data)
    execution = stepfunctions._executions.get(data.get("executionArn"))
    if execution is not None and execution["status"] == "ABORTED":
        close_tokens_of(execution["executionArn"])
    return response


def _run_to_the_end(original: Any, exec_arn: str) -> None:
    try:
        original(exec_arn)
    except ExecutionEnded:
        return


def _fail_once(original: Any, execution: Any, error: str, cause: str) -> None:
    if execution["status"] == "RUNNING":
        original(execution, error, cause)


def apply() -> None:
    """Take over the waiting for Lambda callbacks and guard the answers."""
    for action in ("_send_task_success", "_send_task_failure", "_send_task_heartbeat"):
        wrap(stepfunctions, action, _answer)
    wrap(stepfunctions, "_execute_task", _remember_attempt)
    wrap(stepfunctions, "_invoke_with_callback", _invoke_and_wait)
    wrap(stepfunctions, "_stop_execution", _stop)
    wrap(stepfunctions, "_run_execution", _run_to_the_end)
    wrap(stepfunctions, "_fail_execution", _fail_once)
