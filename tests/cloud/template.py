"""The synthesised template as the cloud needs it: what exists, what wakes which function, and the state machine."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.synth import assembly
from tests.cloud.patterns import Pattern

ACCOUNT = "123456789012"
REGION = "us-east-1"
_PSEUDO = {"AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::URLSuffix": "amazonaws.com"}
_NAMES = ("TableName", "QueueName", "FunctionName", "StateMachineName", "BucketName", "LogGroupName", "TopicName")
_ARNS = {
    "AWS::DynamoDB::Table": "dynamodb:{region}:{account}:table/{name}",
    "AWS::SQS::Queue": "sqs:{region}:{account}:{name}",
    "AWS::Lambda::Function": "lambda:{region}:{account}:function:{name}",
    "AWS::StepFunctions::StateMachine": "states:{region}:{account}:stateMachine:{name}",
    "AWS::IAM::Role": "iam::{account}:role/{name}",
    "AWS::S3::Bucket": "s3:::{name}",
}

Properties = dict[str, Any]


@dataclass(frozen=True)
class Mapping:
    """An event source mapping: what of ``source`` (a table or a queue) reaches ``room``, and how."""

    source: str
    room: str
    batch_size: int
    filters: tuple[Pattern, ...]
    reports_failures: bool
    retries: int
    bisects: bool


@dataclass(frozen=True)
class Schedule:
    """A rule that calls ``room`` every so many seconds."""

    name: str
    room: str
    every_seconds: int


@dataclass(frozen=True)
class Reaction:
    """A rule that calls ``room`` with ``event`` made of what happened; placeholders stand in angle brackets."""

    room: str
    pattern: Pattern
    paths: dict[str, str]
    event: str
    retries: int


class Template:
    """References resolve to the names and ARNs that things have in moto's account."""

    def __init__(self, body: dict[str, Any]) -> None:
        self._resources: dict[str, Any] = body["Resources"]
        self._outputs: dict[str, Any] = body["Outputs"]
        # What has no name before it is made, by logical id.
        self.made: dict[str, str] = {}

    def properties(self, kind: str) -> dict[str, Properties]:
        """Logical id -> resolved properties, of one type."""
        found = {name: item for name, item in self._resources.items() if item["Type"] == kind}
        return {name: self.resolve(item.get("Properties", {})) for name, item in found.items()}

    @property
    def rooms(self) -> dict[str, str]:
        """Function ARN -> room."""
        kind = "AWS::Lambda::Function"
        functions = {name: item for name, item in self._resources.items() if item["Type"] == kind}
        return {
            self._attribute(name, "Arn"): item["Properties"]["Handler"].split(".")[1]
            for name, item in functions.items()
            if item["Properties"].get("Handler", "").startswith("functions.")
        }

    @property
    def settings(self) -> dict[str, str]:
        """Every variable that some function has."""
        found: dict[str, str] = json.loads(self.resolve(self._outputs["Settings"]["Value"]))
        return found

    @property
    def mappings(self) -> list[Mapping]:
        return [self._mapping(item) for item in self.properties("AWS::Lambda::EventSourceMapping").values()]

    @property
    def schedules(self) -> list[Schedule]:
        rules = self.properties("AWS::Events::Rule")
        return [
            Schedule(name, self._room(target["Arn"]), _seconds(rule["ScheduleExpression"]))
            for name, rule in rules.items()
            if "ScheduleExpression" in rule
            for target in rule["Targets"]
        ]

    @property
    def reactions(self) -> list[Reaction]:
        rules = [rule for rule in self.properties("AWS::Events::Rule").values() if "EventPattern" in rule]
        return [self._reaction(rule, target) for rule in rules for target in rule["Targets"]]

    @property
    def machines(self) -> dict[str, dict[str, Any]]:
        """State machine ARN -> its definition."""
        found = {}
        for name, item in self.properties("AWS::StepFunctions::StateMachine").items():
            found[self._attribute(name, "Arn")] = json.loads(item["DefinitionString"])
        return found

    def resolve(self, value: Any) -> Any:
        """A value with every reference replaced by what it refers to."""
        match value:
            case {"Ref": str(name)}:
                return self._reference(name)
            case {"Fn::GetAtt": [str(name), str(attribute)]}:
                return self._attribute(name, attribute)
            case {"Fn::Join": [str(separator), list(parts)]}:
                return separator.join(str(self.resolve(part)) for part in parts)
            case dict():
                return {key: self.resolve(inner) for key, inner in value.items()}
            case list():
                return [self.resolve(inner) for inner in value]
        return value

    def _mapping(self, item: Properties) -> Mapping:
        patterns = [json.loads(each["Pattern"]) for each in item.get("FilterCriteria", {}).get("Filters", [])]
        return Mapping(
            source=_named_by(item["EventSourceArn"]),
            room=self._room(item["FunctionName"]),
            batch_size=int(item.get("BatchSize", 10)),
            filters=tuple(map(Pattern, patterns)),
            reports_failures="ReportBatchItemFailures" in item.get("FunctionResponseTypes", []),
            retries=int(item.get("MaximumRetryAttempts", -1)),
            bisects=bool(item.get("BisectBatchOnFunctionError", False)),
        )

    def _reaction(self, rule: Properties, target: Properties) -> Reaction:
        transformer = target.get("InputTransformer", {"InputPathsMap": {}, "InputTemplate": "{}"})
        return Reaction(
            room=self._room(target["Arn"]),
            pattern=Pattern(rule["EventPattern"]),
            paths=transformer["InputPathsMap"],
            event=transformer["InputTemplate"],
            retries=int(target.get("RetryPolicy", {}).get("MaximumRetryAttempts", 185)),
        )

    def _room(self, function: str) -> str:
        return next(room for arn, room in self.rooms.items() if function in (arn, arn.rpartition(":")[2]))

    def _reference(self, name: str) -> str:
        if name in _PSEUDO:
            return _PSEUDO[name]
        if name in self.made:
            return self.made[name]
        kind = self._resources[name]["Type"] if name in self._resources else ""
        if kind == "AWS::SQS::Queue":
            return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{self.name_of(name)}"
        return self._attribute(name, "Arn") if kind == "AWS::StepFunctions::StateMachine" else self.name_of(name)

    def _attribute(self, name: str, attribute: str) -> str:
        if name in self.made:
            return self.made[name]
        pattern = _ARNS.get(self._resources[name]["Type"])
        if pattern is None or attribute not in ("Arn", "StreamArn"):
            return f"{name}.{attribute}"
        arn = "arn:aws:" + pattern.format(region=REGION, account=ACCOUNT, name=self.name_of(name))
        return arn + "/stream/latest" if attribute == "StreamArn" else arn

    def name_of(self, logical_id: str) -> str:
        """The physical name; of what has none in the template, one made of its logical id."""
        properties = self._resources.get(logical_id, {}).get("Properties", {})
        given = next((properties[key] for key in _NAMES if isinstance(properties.get(key), str)), None)
        return given or logical_id.lower()


def deployed_template() -> Template:
    """The laptop's deployment, from the cache when nothing that goes into it changed."""
    folder: Path = assembly(progress=lambda _line: None)
    return Template(json.loads((folder / "GpuPool.template.json").read_text(encoding="utf-8")))


def _named_by(arn: str) -> str:
    """The table or queue of an event source's ARN."""
    resource = arn.split(":", 5)[5]
    return resource.split("/")[1] if resource.startswith("table/") else resource


def _seconds(schedule: str) -> int:
    count, unit = schedule.removeprefix("rate(").removesuffix(")").split()
    return int(count) * {"second": 1, "minute": 60, "hour": 3600, "day": 86400}[unit.removesuffix("s")]
