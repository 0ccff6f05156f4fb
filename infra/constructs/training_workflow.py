"""One execution per training job: plan, tend, wait until there is something to do, then finish or compensate.

The state that travels is `{"job_id", "step": {"outcome", "cursor", "steps", "generation"}}`; payloads never do. Plan, Tend
and Compensate take some pages of units each time and loop. An execution whose history grows long starts the next one and ends.
"""

from dataclasses import dataclass

from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.constructs.function import RoomFunction, retention
from infra.settings import StageSettings
from infra.suppressions import Because, acknowledge

_NAME = "gpupool-training-job"
_TRANSIENT = [
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
]
_STATE = {"job_id": sfn.JsonPath.string_at("$.job_id"), "step": sfn.JsonPath.object_at("$.step")}
_CLOSING = {"outcome": "closing", "cursor": "", "steps": 0}


@dataclass(frozen=True)
class WorkflowRooms:
    """The functions that the workflow calls."""

    plan: RoomFunction
    tend: RoomFunction
    advance: RoomFunction
    close: RoomFunction

    @property
    def all(self) -> list[RoomFunction]:
        return [self.plan, self.tend, self.advance, self.close]


class TrainingWorkflow(Construct):
    """The Standard state machine, its log and its role."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: StageSettings, rooms: WorkflowRooms) -> None:
        super().__init__(scope, construct_id)
        name = self._name = settings.name(_NAME)
        self.arn = workflow_arn(self, settings=settings)
        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/vendedlogs/states/{name}",
            retention=retention(settings),
            removal_policy=RemovalPolicy.DESTROY,
        )
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("states.amazonaws.com"))
        policy = self._policy(role, rooms=rooms)
        self.machine = sfn.StateMachine(
            self,
            "Machine",
            state_machine_name=name,
            state_machine_type=sfn.StateMachineType.STANDARD,
            definition_body=sfn.DefinitionBody.from_chainable(_Definition(self, settings=settings, rooms=rooms).start),
            timeout=Duration.days(settings.execution_timeout_days),
            # The tasks would grant themselves every version and alias of their functions; the policy above names the functions.
            role=role.without_policy_updates(),
            tracing_enabled=True,
            logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ALL, include_execution_data=False),
        )
        self.machine.node.add_dependency(policy)

    @property
    def variables(self) -> dict[str, str]:
        return {"STATE_MACHINE_ARN": self.arn}

    def let_start(self, *functions: RoomFunction) -> None:
        for function in functions:
            function.know(self.variables)
            function.allow(["states:StartExecution"], on=[self.arn])

    def let_resume(self, *functions: RoomFunction) -> None:
        """Answering a task token; the right is on the machine that issued it."""
        for function in functions:
            function.allow(["states:SendTaskSuccess"], on=[self.arn])

    def let_look(self, function: RoomFunction) -> None:
        """How an execution of the machine stands, by its name."""
        arn = Stack.of(self).format_arn(
            service="states",
            resource="execution",
            resource_name=f"{self._name}:*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        function.know(self.variables)
        function.allow(["states:DescribeExecution"], on=[arn])
        rule = (
            f"AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:{self._name}:*]"
        )
        acknowledge(function, rule, because=Because.EXECUTIONS_OF_ONE_MACHINE)

    def _policy(self, role: iam.Role, *, rooms: WorkflowRooms) -> iam.Policy:
        policy = iam.Policy(self, "Policy", roles=[role])
        policy.add_statements(
            iam.PolicyStatement(
                actions=["lambda:InvokeFunction"], resources=[room.function.function_arn for room in rooms.all]
            ),
            iam.PolicyStatement(actions=_LOG_DELIVERY, resources=["*"]),
            iam.PolicyStatement(actions=_TRACING, resources=["*"]),
        )
        acknowledge(policy, "AwsSolutions-IAM5[Resource::*]", because=Because.STATES_LOGS_AND_TRACES)
        return policy


_LOG_DELIVERY = [
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
]
_TRACING = [
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
]


def workflow_arn(scope: Construct, *, settings: StageSettings) -> str:
    """The machine's ARN made from its name, for the functions that the machine itself refers to."""
    return Stack.of(scope).format_arn(
        service="states", resource="stateMachine", resource_name=settings.name(_NAME), arn_format=ArnFormat.COLON_RESOURCE_NAME
    )


class _Definition:
    """The states and how they follow each other."""

    def __init__(self, scope: Construct, *, settings: StageSettings, rooms: WorkflowRooms) -> None:
        self._scope = scope
        plan = self._page("Plan", rooms.plan)
        tend = self._page("Tend", rooms.tend)
        advance = self._wait("Advance", rooms.advance, wake_after=Duration.seconds(settings.advance_timeout_seconds))
        watch = self._wait("Watch", rooms.advance, wake_after=Duration.seconds(settings.watch_timeout_seconds))
        compensate = self._compensate(rooms.close)
        renewed = sfn.Succeed(scope, "Renewed", comment="The job's next execution goes on")
        what_next = (
            sfn.Choice(scope, "WhatNext", comment="What the last step said about the job")
            .when(sfn.Condition.string_equals("$.step.outcome", "completed"), self._finish(rooms.close))
            .when(_any_of("$.step.outcome", "failed", "cancelled"), self._give_up().next(compensate))
            .when(sfn.Condition.string_equals("$.step.outcome", "tend"), tend)
            .when(sfn.Condition.string_equals("$.step.outcome", "plan"), plan)
            .when(sfn.Condition.string_equals("$.step.outcome", "renewed"), renewed)
            .when(sfn.Condition.string_equals("$.step.outcome", "watch"), watch)
            .otherwise(advance)
        )
        for task in (plan, tend, advance, watch):
            task.next(what_next)
        # A wake-up call that never came is no failure: the units are gone over, and the step waits again with a fresh token.
        for waiting in (advance, watch):
            waiting.add_catch(tend, errors=["States.Timeout"], result_path=sfn.JsonPath.DISCARD)
        for name, task in (("Plan", plan), ("Tend", tend), ("Advance", advance), ("Watch", watch)):
            task.add_catch(self._note_error(of=name).next(compensate), result_path="$.error")
        self.start: sfn.IChainable = plan

    def _page(self, name: str, room: RoomFunction) -> tasks.LambdaInvoke:
        """A step that goes over some pages of units and says where it goes on."""
        return _retrying(
            tasks.LambdaInvoke(
                self._scope,
                name,
                lambda_function=room.function,
                payload=sfn.TaskInput.from_object(_STATE),
                payload_response_only=True,
                retry_on_service_exceptions=False,
                task_timeout=_beyond(room),
                result_path="$.step",
            )
        )

    def _wait(self, name: str, room: RoomFunction, *, wake_after: Duration) -> tasks.LambdaInvoke:
        return _retrying(
            tasks.LambdaInvoke(
                self._scope,
                name,
                lambda_function=room.function,
                integration_pattern=sfn.IntegrationPattern.WAIT_FOR_TASK_TOKEN,
                payload=sfn.TaskInput.from_object(
                    {
                        "job_id": sfn.JsonPath.string_at("$.job_id"),
                        "task_token": sfn.JsonPath.task_token,
                        "entered": sfn.JsonPath.state_entered_time,
                        "retry": sfn.JsonPath.number_at("$$.State.RetryCount"),
                    }
                ),
                retry_on_service_exceptions=False,
                task_timeout=sfn.Timeout.duration(wake_after),
                # Whoever wakes it sends a bare outcome; how many steps there were stays.
                result_path="$.step.outcome",
            )
        )

    def _finish(self, room: RoomFunction) -> sfn.IChainable:
        """The last state of a job that went well; one more behind it would be billed with every job."""
        payload = sfn.TaskInput.from_object({**_STATE, "outcome": "completed"})
        return self._close("Finish", room=room, payload=payload, result_path=sfn.JsonPath.DISCARD)

    def _compensate(self, room: RoomFunction) -> sfn.IChainable:
        """Ends as a failed execution only when the platform erred, so that the alarm on failures means something."""
        compensate = self._close("Compensate", room=room, payload=None, result_path="$.step")
        aborted = sfn.Fail(self._scope, "Aborted", error="JobAborted", cause="The job was closed after an error of a step")
        ended = sfn.Succeed(self._scope, "EndedWithoutResult")
        why = (
            sfn.Choice(self._scope, "Why")
            .when(sfn.Condition.string_equals("$.step.outcome", "closing"), compensate)
            .when(sfn.Condition.is_present("$.error"), aborted)
            .otherwise(ended)
        )
        compensate.next(why)
        return compensate

    def _close(self, name: str, *, room: RoomFunction, payload: sfn.TaskInput | None, result_path: str) -> tasks.LambdaInvoke:
        """Closing returns what is left of the customer's hold, so it is retried for up to an hour whatever went wrong.

        Without a payload the function gets the state as it is.
        """
        task = tasks.LambdaInvoke(
            self._scope,
            name,
            lambda_function=room.function,
            payload=payload,
            payload_response_only=True,
            retry_on_service_exceptions=False,
            task_timeout=_beyond(room),
            result_path=result_path,
        )
        task.add_retry(
            errors=["States.ALL"],
            interval=Duration.seconds(2),
            backoff_rate=2,
            max_attempts=18,
            max_delay=Duration.minutes(5),
            jitter_strategy=sfn.JitterType.FULL,
        )
        return task

    def _give_up(self) -> sfn.Pass:
        parameters = {"job_id.$": "$.job_id", "outcome.$": "$.step.outcome", "step": _CLOSING}
        return sfn.Pass(self._scope, "GiveUp", parameters=parameters)

    def _note_error(self, *, of: str) -> sfn.Pass:
        error = {"Step": of, "Error.$": "$.error.Error", "Cause.$": "$.error.Cause"}
        parameters = {"job_id.$": "$.job_id", "outcome": "failed", "step": _CLOSING, "error": error}
        return sfn.Pass(self._scope, f"Note{of}Error", parameters=parameters)


def _retrying(task: tasks.LambdaInvoke) -> tasks.LambdaInvoke:
    """Service trouble passes within minutes; an error of our own gets three more tries, for it may be a throttled table."""
    task.add_retry(
        errors=_TRANSIENT,
        interval=Duration.seconds(1),
        backoff_rate=2,
        max_attempts=8,
        max_delay=Duration.minutes(1),
        jitter_strategy=sfn.JitterType.FULL,
    )
    task.add_retry(errors=["States.TaskFailed"], interval=Duration.seconds(2), backoff_rate=2, max_attempts=3)
    return task


def _beyond(room: RoomFunction) -> sfn.Timeout:
    """A little more than the function may take, so that the function's own timeout is the one that is reported."""
    return sfn.Timeout.duration(room.timeout.plus(Duration.seconds(10)))


def _any_of(path: str, *values: str) -> sfn.Condition:
    return sfn.Condition.or_(*(sfn.Condition.string_equals(path, value) for value in values))
