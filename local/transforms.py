"""Every difference between the template that AWS gets and the one that the emulator gets, each with its reason.

| # | transform | reason |
|---|---|---|
| T1 | statements that deny `aws:SecureTransport = false` are left out | over the emulator's plain HTTP they deny everything |
| T2 | `states:SendTask*` is granted on `*` | AWS checks it on the machine's ARN, the emulator on `*`, which no ARN matches |
| T3 | the HTTP API gets the tag `ms-custom-id` | the API keeps its address when the stack is made anew |
| T4 | alarms over metric math are left out | the emulator refuses the whole template for them |

The layer with third-party packages needs no transform: stage `local` is synthesised with `bundle_deps=false`, and the
handlers run on the project's environment. Tables get their TTL after the deployment (`deploy.apply_ttl`), because the
emulator's CloudFormation drops that property.
"""

import copy
from typing import Any

Template = dict[str, Any]
API_ID = "gpupool"

_SEND_TASK = "states:SendTask"


def for_emulator(template: Template) -> Template:
    """A copy of the template with all transforms applied."""
    local = copy.deepcopy(template)
    drop_secure_transport_denials(local)
    widen_task_answers(local)
    pin_api_id(local)
    drop_metric_math_alarms(local)
    return local


def drop_secure_transport_denials(template: Template) -> None:
    """T1. A policy that held nothing else is removed with the dependencies on it."""
    resources = template["Resources"]
    emptied = set()
    for name, resource in resources.items():
        document = resource.get("Properties", {}).get("PolicyDocument")
        if not isinstance(document, dict) or not isinstance(document.get("Statement"), list):
            continue
        kept = [statement for statement in document["Statement"] if not _denies_plain_http(statement)]
        if not kept:
            emptied.add(name)
        document["Statement"] = kept
    for name in emptied:
        del resources[name]
    for resource in resources.values():
        _drop_dependencies(resource, on=emptied)


def _denies_plain_http(statement: dict[str, Any]) -> bool:
    wanted = statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport")
    return statement.get("Effect") == "Deny" and str(wanted).lower() == "false"


def _drop_dependencies(resource: dict[str, Any], *, on: set[str]) -> None:
    dependencies = resource.get("DependsOn")
    if dependencies is None:
        return
    names = [dependencies] if isinstance(dependencies, str) else dependencies
    kept = [name for name in names if name not in on]
    if kept:
        resource["DependsOn"] = kept
    else:
        del resource["DependsOn"]


def widen_task_answers(template: Template) -> None:
    """T2."""
    for resource in template["Resources"].values():
        document = resource.get("Properties", {}).get("PolicyDocument")
        if isinstance(document, dict):
            document["Statement"] += _answers_on_anything(document["Statement"])


def _answers_on_anything(statements: list[dict[str, Any]]) -> list[dict[str, Any]]:
    actions = [action for statement in statements if statement["Effect"] == "Allow" for action in _actions(statement)]
    answers = sorted({action for action in actions if action.startswith(_SEND_TASK)})
    return [{"Effect": "Allow", "Action": answers, "Resource": "*"}] if answers else []


def _actions(statement: dict[str, Any]) -> list[str]:
    actions = statement.get("Action", [])
    return [actions] if isinstance(actions, str) else list(actions)


def pin_api_id(template: Template) -> None:
    """T3."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::ApiGatewayV2::Api":
            resource["Properties"].setdefault("Tags", {})["ms-custom-id"] = API_ID


def drop_metric_math_alarms(template: Template) -> None:
    """T4. Nothing in the stack refers to an alarm."""
    template["Resources"] = {
        name: resource
        for name, resource in template["Resources"].items()
        if resource["Type"] != "AWS::CloudWatch::Alarm" or "Metrics" not in resource["Properties"]
    }
