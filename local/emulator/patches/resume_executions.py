"""Running executions survive a restart of the emulator.

On AWS an execution runs until it ends; nothing of ours can restart it.
The emulator keeps executions in threads and marks those that ran as FAILED when it loads its state.
The patch starts them again at the state they had entered, with that state's recorded input, and keeps the task tokens
they wait for: a waiting state waits on, with the token its function was given and the time it had left; a state that
was at work runs again, as AWS may do with any task of at-least-once delivery. JSONata variables are not kept.
"""

import contextvars
import json
import threading
from typing import Any

from ministack.core.responses import AccountRegionScopedDict, _request_account_id, _request_region
from ministack.services import stepfunctions

from local.emulator.patches import task_callbacks
from local.emulator.pinned import require_pinned, wrap

require_pinned()

_RESUME_STATE = "Resumed after a restart"
_entry: contextvars.ContextVar[tuple[str, Any] | None] = contextvars.ContextVar("entry", default=None)
_to_resume: list[tuple[str, str, str]] = []


def last_entered(*, events: list[dict[str, Any]], states: dict[str, Any]) -> tuple[str, Any] | None:
    """The definition's state that the history entered last, and its input; None when it entered none yet."""
    for event in reversed(events):
        details = event.get("stateEnteredEventDetails")
        if details and details["name"] in states:
            return details["name"], json.loads(details["input"])
    return None


def starting_at(definition: dict[str, Any], *, state: str, state_input: Any) -> dict[str, Any]:
    """`definition`, entered through a Pass state that hands `state_input` to `state`."""
    door = {"Type": "Pass", "QueryLanguage": "JSONPath", "Result": state_input, "Next": state}
    return {**definition, "StartAt": _RESUME_STATE, "States": {**definition["States"], _RESUME_STATE: door}}


class _StateMachines(AccountRegionScopedDict):  # type: ignore[misc]  # the emulator has no types
    """The emulator's state machines; inside a resumed execution's thread the definition starts at the entered state."""

    __slots__ = ()

    def get(self, key: Any, default: Any = None) -> Any:
        machine = super().get(key, default)
        entry = _entry.get()
        if machine is None or entry is None:
            return machine
        definition = starting_at(json.loads(machine["definition"]), state=entry[0], state_input=entry[1])
        return {**machine, "definition": json.dumps(definition)}


def _state_with_tokens(original: Any) -> Any:
    kept = ("execution", "state", "deadline")
    tokens = [
        {"scope": [account, region], "token": token, **{name: info[name] for name in kept}}
        for (account, region, token), info in stepfunctions._task_tokens.all_items()
        if info.get("delivered") and not info["event"].is_set()
    ]
    return {**original(), "waiting_tokens": tokens}


def _restore_running(original: Any, data: Any) -> None:
    executions = (data or {}).get("executions", {})
    running = [key for key, execution in _items(executions) if execution["status"] == "RUNNING"]
    original(data)
    for key in running:
        execution = stepfunctions._executions.get_scoped(*key)
        execution.update(status="RUNNING", stopDate=None)
        execution.pop("error", None)
        execution.pop("cause", None)
    _to_resume.extend(running)
    for kept in (data or {}).get("waiting_tokens", []):
        with_scope(
            (kept["scope"][0], kept["scope"][1]),
            lambda kept=kept: task_callbacks.open_token(
                token=kept["token"],
                execution_arn=kept["execution"],
                state=kept["state"],
                deadline=kept["deadline"],
                delivered=True,
            ),
        )


def _items(executions: Any) -> list[Any]:
    return executions.all_items() if isinstance(executions, AccountRegionScopedDict) else []


def with_scope(scope: tuple[str, str], work: Any) -> None:
    """Run `work` under an account and a region, as a request of that account would."""

    def scoped() -> None:
        _request_account_id.set(scope[0])
        _request_region.set(scope[1])
        work()

    contextvars.copy_context().run(scoped)


def _run_again(arn: str) -> None:
    execution = stepfunctions._executions.get(arn)
    machine = stepfunctions._state_machines.get(execution["stateMachineArn"]) if execution else None
    if machine is not None:
        states = json.loads(machine["definition"]).get("States", {})
        _entry.set(last_entered(events=execution["events"], states=states))
    stepfunctions._run_execution(arn)


def resume_all() -> int:
    """Start every execution that the loaded state says was running; call it once, when requests are served."""
    count = len(_to_resume)
    for account, region, arn in _to_resume:
        work = threading.Thread(target=with_scope, args=((account, region), lambda arn=arn: _run_again(arn)), daemon=True)
        work.start()
    _to_resume.clear()
    return count


def apply() -> None:
    """Keep waiting tokens in the state, and leave running executions RUNNING when it is loaded."""
    machines = _StateMachines()
    machines._data = stepfunctions._state_machines._data
    stepfunctions._state_machines = machines
    wrap(stepfunctions, "get_state", _state_with_tokens)
    wrap(stepfunctions, "_restore_state", _restore_running)
