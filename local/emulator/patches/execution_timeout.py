"""P5: an execution ends TIMED_OUT when the state machine's TimeoutSeconds have passed.

AWS ends the execution with status TIMED_OUT, error States.Timeout and an ExecutionTimedOut event, whatever state it is in.
The emulator ignores a TimeoutSeconds at the top of a definition.
The patch keeps one timer per running execution; tokens that the execution waited for are closed.
"""

import contextvars
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import stepfunctions

from local.emulator.patches import task_callbacks
from local.emulator.pinned import require_pinned, wrap

require_pinned()


def seconds_left(*, timeout_seconds: float, started: str, now: datetime) -> float:
    """Seconds until an execution that `started` (ISO time) must end; never negative."""
    begun = datetime.fromisoformat(started.replace("Z", "+00:00"))
    return max(0.0, timeout_seconds - (now - begun).total_seconds())


def _timeout_of(execution: Any) -> float | None:
    machine = stepfunctions._state_machines.get(execution["stateMachineArn"]) or {}
    try:
        definition = json.loads(machine.get("definition", "{}"))
    except ValueError:
        return None
    timeout = definition.get("TimeoutSeconds")
    return float(timeout) if timeout is not None else None


def _time_out(execution: Any) -> None:
    if execution["status"] != "RUNNING":
        return
    execution["status"] = "TIMED_OUT"
    execution["error"] = "States.Timeout"
    execution["stopDate"] = now_iso()
    details = {"executionTimedOutEventDetails": {"error": "States.Timeout"}}
    stepfunctions._add_event(execution, "ExecutionTimedOut", details)
    task_callbacks.close_tokens_of(execution["executionArn"])
    stepfunctions._emit_execution_status_event(execution)


def _timer(execution: Any, *, seconds: float) -> threading.Timer:
    scope: Callable[..., Any] = contextvars.copy_context().run
    timer = threading.Timer(seconds, scope, args=(_time_out, execution))
    timer.daemon = True
    timer.start()
    return timer


def _run_with_timeout(original: Any, exec_arn: str) -> None:
    execution = stepfunctions._executions.get(exec_arn)
    timeout = _timeout_of(execution) if execution else None
    if execution is None or timeout is None:
        original(exec_arn)
        return
    left = seconds_left(timeout_seconds=timeout, started=execution["startDate"], now=datetime.now(UTC))
    timer = _timer(execution, seconds=left)
    try:
        original(exec_arn)
    finally:
        timer.cancel()


def apply() -> None:
    """Run every execution under a timer when its definition has a TimeoutSeconds."""
    wrap(stepfunctions, "_run_execution", _run_with_timeout)
