"""What finds what should never happen: its schedule, and the kinds that it counts."""

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from infra.constructs.function import RoomFunction
from infra.settings import StageSettings

EVERY = Duration.minutes(5)
# Every kind that the core finds, and what its alarm says.
FINDINGS: Mapping[str, str] = {
    "job_without_execution": "A live job had no execution: it was started, or another one that closes the job.",
    "queued_without_message": "A unit was queued and no message, nor a dead letter, led to it: it was rung for again.",
    "lease_without_node": "A lease lapsed and no message led anybody to its unit: the unit was queued again, or failed.",
    "ready_not_released": "A unit waited for nothing and was not released: it was queued.",
    "completed_without_debit": "A completed unit had not been paid: it was, and what follows from it happened.",
    "need_not_opened": "A completed unit was still waited for: what needs it was opened.",
    "change_without_event": "A job's timeline lacked an event: it was written.",
    "event_without_delivery": "An event had no delivery to a webhook that asked for it: it was made.",
    "hold_without_job": "A customer's held credits are not those of its live jobs. Nothing was changed: see the runbook.",
}


class Recovery(Construct):
    """The schedule. A run that fails is followed by the next, so no delivery of the schedule is tried again."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: StageSettings, room: RoomFunction) -> None:
        super().__init__(scope, construct_id)
        self._stage = settings.stage
        rule = events.Rule(
            self,
            "Schedule",
            description="Finds and repairs what should never happen",
            schedule=events.Schedule.rate(EVERY),
        )
        rule.add_target(targets.LambdaFunction(room.function, retry_attempts=0))

    def found(self, finding: str) -> cloudwatch.Metric:
        """How many of one kind were found, by whichever function."""
        return cloudwatch.Metric(
            namespace="GpuPool",
            metric_name=finding,
            dimensions_map={"service": "recovery", "stage": self._stage},
            statistic="Sum",
            period=EVERY,
        )
