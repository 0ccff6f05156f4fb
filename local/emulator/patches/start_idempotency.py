"""P4: StartExecution with the same name and input answers like the first call.

AWS documents StartExecution of a Standard workflow as idempotent: same name and same input as a running execution
succeed with the first answer; another input, or a closed execution, is ExecutionAlreadyExists.
The emulator refuses every second call with a known name.
The patch answers the first execution's ARN and start date when it runs and its input is the same.
"""

import json
from typing import Any

from ministack.core.responses import get_account_id, get_region, json_response
from ministack.services import stepfunctions

from local.emulator.pinned import require_pinned, wrap

require_pinned()


def _same_json(first: str, second: str) -> bool:
    try:
        return bool(json.loads(first) == json.loads(second))
    except ValueError:
        return first == second


def _running_twin(data: dict[str, Any]) -> Any:
    machine_arn = stepfunctions._resolve_state_machine_arn(str(data.get("stateMachineArn", "")).split("#")[0])
    machine = stepfunctions._state_machines.get(machine_arn) if machine_arn else None
    if machine is None or not data.get("name"):
        return None
    arn = f"arn:aws:states:{get_region()}:{get_account_id()}:execution:{machine['name']}:{data['name']}"
    execution = stepfunctions._executions.get(arn)
    if execution is None or execution["status"] != "RUNNING":
        return None
    return execution if _same_json(execution["input"], data.get("input", "{}")) else None


def _start_idempotently(original: Any, data: dict[str, Any]) -> Any:
    twin = _running_twin(data)
    if twin is not None:
        return json_response({"executionArn": twin["executionArn"], "startDate": twin["startDate"]})
    return original(data)


def apply() -> None:
    """Answer a repeated start of a running execution like the first one."""
    wrap(stepfunctions, "_start_execution", _start_idempotently)
