"""Our Lambda function, said once: runtime, logs, tracing, layers, names, and a role that starts with nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.constructs.layers import ARCHITECTURE, RUNTIME
from infra.settings import StageSettings
from infra.suppressions import Because, acknowledge


@dataclass(frozen=True)
class FunctionSize:
    """Memory also buys processor time: a full core starts at 1769 MB."""

    memory_mb: int
    timeout_seconds: int


@dataclass(frozen=True)
class FunctionKit:
    """What every function of a deployment shares."""

    settings: StageSettings
    code: lambda_.Code
    layers: list[lambda_.ILayerVersion]


class RoomFunction(Construct):
    """The function of one room in `functions/`. Its handler is `functions.<room>.handler.handler`.

    The role may write to the function's own log group and send trace segments; everything else is granted by whoever
    owns the resource, together with the environment variable that names it.
    """

    def __init__(self, scope: Construct, room: str, *, kit: FunctionKit, size: FunctionSize) -> None:
        super().__init__(scope, _camel(room))
        self.room = room
        self.timeout = Duration.seconds(size.timeout_seconds)
        name = kit.settings.name(f"gpupool-{room.replace('_', '-')}")
        log_group = self._log_group(name, settings=kit.settings)
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log_group.grant_write(self.role)
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=name,
            description=f"functions/{room}",
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            handler=f"functions.{room}.handler.handler",
            code=kit.code,
            layers=kit.layers,
            role=self.role,
            memory_size=size.memory_mb,
            timeout=self.timeout,
            tracing=lambda_.Tracing.ACTIVE,
            log_group=log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            system_log_level_v2=lambda_.SystemLogLevel.WARN,
            application_log_level_v2=lambda_.ApplicationLogLevel[kit.settings.log_level],
            environment=common_variables(room, settings=kit.settings),
        )
        acknowledge(self, "AwsSolutions-IAM5[Resource::*]", because=Because.XRAY_HAS_NO_RESOURCES)
        acknowledge(self, "AwsSolutions-L1", because=Because.PYTHON_311)

    def allow(self, actions: list[str], *, on: list[str]) -> None:
        """Adds one statement to the function's role."""
        self.role.add_to_principal_policy(iam.PolicyStatement(actions=actions, resources=on))

    def know(self, variables: Mapping[str, str]) -> None:
        """Adds environment variables, each a setting that the core reads."""
        for name, value in variables.items():
            self.function.add_environment(name, value)

    def _log_group(self, function_name: str, *, settings: StageSettings) -> logs.LogGroup:
        return logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/lambda/{function_name}",
            retention=retention(settings),
            removal_policy=RemovalPolicy.DESTROY,
        )


def retention(settings: StageSettings) -> logs.RetentionDays:
    """How long log groups keep their events."""
    by_days = {30: logs.RetentionDays.ONE_MONTH, 90: logs.RetentionDays.THREE_MONTHS, 365: logs.RetentionDays.ONE_YEAR}
    return by_days[settings.log_retention_days]


def common_variables(room: str, *, settings: StageSettings) -> dict[str, str]:
    """The variables that every function has; `room` names it in logs."""
    return {
        "STAGE": settings.stage,
        "LOG_LEVEL": settings.log_level,
        "POWERTOOLS_SERVICE_NAME": room,
    }


def _camel(room: str) -> str:
    return "".join(word.capitalize() for word in room.split("_"))
