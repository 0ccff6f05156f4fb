"""What wakes functions without a request: table streams and dead letters, in batches whose items fail one by one, and
executions that were stopped from outside."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from aws_cdk.aws_lambda_destinations import SqsDestination
from aws_cdk.aws_lambda_event_sources import DynamoEventSource, SqsDlq, SqsEventSource
from constructs import Construct

from infra.constructs.function import RoomFunction
from infra.constructs.tables import PoolTable
from infra.constructs.training_workflow import TrainingWorkflow
from infra.settings import StageSettings
from infra.suppressions import Because, acknowledge

_STREAM_RETRIES = 20
Filters = Sequence[Mapping[str, Any]]

_LIVE = ["queued", "planning", "running"]


def _change(*, old: Mapping[str, Any] | None = None, new: Mapping[str, Any]) -> Mapping[str, Any]:
    """Writes whose images hold these attributes, all of them text."""
    images = {"OldImage": old, "NewImage": new} if old is not None else {"NewImage": new}
    return lambda_.FilterCriteria.filter(
        {"dynamodb": {image: {name: {"S": rule} for name, rule in wanted.items()} for image, wanted in images.items()}}
    )


JOB_WRITTEN: Filters = [
    lambda_.FilterCriteria.filter({"eventName": ["INSERT"]}),
    _change(new={"cancel_requested_at": lambda_.FilterRule.exists(), "status": _LIVE}),
    _change(old={"status": ["planning"]}, new={"status": ["running"]}),
    _change(old={"status": _LIVE}, new={"status": ["completed", "failed", "cancelled"]}),
]
# Heartbeats are the most frequent write and pass none of these. A claim does, also one over a lapsed lease, because it alone
# writes the stage "claimed"; a filter cannot compare the attempts of two images.
UNIT_WRITTEN: Filters = [
    _change(new={"status": ["queued", "completed", "failed", "rejected"]}),
    _change(new={"status": ["running"], "progress_stage": ["claimed"]}),
    _change(old={"status": ["running"]}, new={"status": ["cancelled"]}),
]

# The events that a webhook may ask for, which are ``gpupool.events.model.SUBSCRIBABLE``; of the others nobody is told.
_TOLD = [
    "artifact.ready",
    "credits.low",
    "job.cancelled",
    "job.completed",
    "job.failed",
    "job.started",
    "unit.completed",
    "unit.failed",
]
EVENT_WRITTEN: Filters = [
    lambda_.FilterCriteria.filter({"eventName": ["INSERT"], "dynamodb": {"NewImage": {"type": {"S": _TOLD}}}})
]


class EventSources(Construct):
    """The mappings, and the queue that keeps what could not be delivered."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: StageSettings) -> None:
        super().__init__(scope, construct_id)
        self.undelivered = sqs.Queue(
            self,
            "Undelivered",
            queue_name=settings.name("gpupool-undelivered"),
            retention_period=Duration.days(14),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
        )
        acknowledge(self.undelivered, "AwsSolutions-SQS3", because=Because.LAST_RESORT_QUEUE)

    def stream(self, table: PoolTable, function: RoomFunction, *, filters: Filters) -> None:
        """Every write of the table that passes a filter, at least once, in the order of its partition key."""
        function.function.add_event_source(
            DynamoEventSource(
                table.table,
                starting_position=lambda_.StartingPosition.TRIM_HORIZON,
                batch_size=25,
                max_batching_window=Duration.seconds(0),
                parallelization_factor=4,
                report_batch_item_failures=True,
                bisect_batch_on_error=True,
                retry_attempts=_STREAM_RETRIES,
                on_failure=SqsDlq(self.undelivered),
                filters=filters,
            )
        )
        acknowledge(function, "AwsSolutions-IAM5[Resource::*]", because=Because.LIST_STREAMS_HAS_NO_RESOURCES)

    def stopped_executions(self, workflow: TrainingWorkflow, function: RoomFunction) -> None:
        """Has the job of an execution closed that could not do so itself: it ran out of time, or an operator stopped it."""
        rule = events.Rule(
            self,
            "Stopped",
            description="An execution ended without closing its job",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={"status": ["FAILED", "TIMED_OUT", "ABORTED"], "stateMachineArn": [workflow.arn]},
            ),
        )
        stopped = {
            "stopped": events.EventField.from_path("$.detail.name"),
            "status": events.EventField.from_path("$.detail.status"),
        }
        rule.add_target(
            targets.LambdaFunction(
                function.function,
                event=events.RuleTargetInput.from_object(stopped),
                dead_letter_queue=self.undelivered,
                retry_attempts=10,
            )
        )
        function.function.configure_async_invoke(on_failure=SqsDestination(self.undelivered), retry_attempts=2)

    def dead_letters(self, queues: Iterable[sqs.Queue], function: RoomFunction) -> None:
        for queue in queues:
            function.function.add_event_source(
                SqsEventSource(queue, batch_size=10, report_batch_item_failures=True, max_concurrency=2)
            )
