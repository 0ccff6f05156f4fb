"""A synthesised stack as facts: its resources, and policies written so that a person can read them."""

import json
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import Any

from aws_cdk.assertions import Template

Properties = dict[str, Any]
Grants = dict[str, set[str]]


class Synthesised:
    """One stage's assembly on disk."""

    def __init__(self, *, folder: Path, stack_name: str) -> None:
        self.folder = folder
        self.template_file = folder / f"{stack_name}.template.json"
        self.body: dict[str, Any] = json.loads(self.template_file.read_text(encoding="utf-8"))
        self.metadata: dict[str, Any] = json.loads((folder / f"{stack_name}.metadata.json").read_text(encoding="utf-8"))

    @cached_property
    def template(self) -> Template:
        """For matching with CDK's assertions."""
        return Template.from_json(self.body)

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        """Logical id -> resource, of one type."""
        return {name: item for name, item in self.body["Resources"].items() if item["Type"] == kind}

    def properties(self, kind: str) -> dict[str, Properties]:
        """Logical id -> properties, of one type."""
        return {name: item["Properties"] for name, item in self.resources(kind).items()}

    @cached_property
    def functions(self) -> dict[str, Properties]:
        """Room -> properties of its function."""
        return {_room(item): item for item in self.properties("AWS::Lambda::Function").values()}

    @cached_property
    def function_rooms(self) -> dict[str, str]:
        """Logical id -> room."""
        return {name: _room(item) for name, item in self.properties("AWS::Lambda::Function").items()}

    @cached_property
    def tables(self) -> dict[str, Properties]:
        """Table name -> properties."""
        return {item["TableName"]: item for item in self.properties("AWS::DynamoDB::Table").values()}

    @cached_property
    def queues(self) -> dict[str, Properties]:
        """Queue name -> properties."""
        return {item["QueueName"]: item for item in self.properties("AWS::SQS::Queue").values()}

    @cached_property
    def machine(self) -> Properties:
        (machine,) = self.properties("AWS::StepFunctions::StateMachine").values()
        return machine

    @cached_property
    def definition(self) -> dict[str, Any]:
        """The state machine's definition, its references as readable text."""
        return dict(json.loads(self.text(self.machine["DefinitionString"])))

    def environment(self, room: str) -> dict[str, str]:
        """A function's variables, its references as readable text."""
        return {name: self.text(value) for name, value in self.functions[room]["Environment"]["Variables"].items()}

    def grants(self, room: str) -> Grants:
        """What a function's role allows: resource -> actions."""
        (role,) = self.functions[room]["Role"]["Fn::GetAtt"][:1]
        return self.grants_of_role(role)

    def grants_of_role(self, role: str) -> Grants:
        found: Grants = defaultdict(set)
        for policy in self.properties("AWS::IAM::Policy").values():
            if {"Ref": role} in policy["Roles"]:
                for statement in policy["PolicyDocument"]["Statement"]:
                    assert statement["Effect"] == "Allow"
                    for resource in _listed(statement["Resource"]):
                        found[self.text(resource)].update(_listed(statement["Action"]))
        return dict(found)

    def text(self, value: Any) -> str:
        """A value with its references replaced by the names of what they refer to."""
        match value:
            case str():
                return value
            case {"Ref": str(name)}:
                return self._name(name)
            case {"Fn::GetAtt": [str(name), str(attribute)]}:
                return self._name(name) + (":stream" if attribute == "StreamArn" else "")
            case {"Fn::Join": [str(separator), list(parts)]}:
                return separator.join(self.text(part) for part in parts)
        raise AssertionError(f"unknown intrinsic: {value}")

    def _name(self, logical_id: str) -> str:
        """The physical name where there is one, else the logical id."""
        item = self.body["Resources"].get(logical_id, {})
        properties = item.get("Properties", {})
        kind = item.get("Type", "").split("::")[-1]
        for key in ("TableName", "QueueName", "FunctionName", "StateMachineName", "LogGroupName", "TopicName"):
            if isinstance(properties.get(key), str):
                return f"{kind}:{properties[key]}"
        return f"{kind}:{logical_id}" if kind else logical_id


def _room(function: Properties) -> str:
    package, room, module, name = function["Handler"].split(".")
    assert (package, module, name) == ("functions", "handler", "handler")
    return str(room)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
