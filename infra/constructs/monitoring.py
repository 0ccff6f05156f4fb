"""What wakes somebody up, and the one page to look at then."""

from collections.abc import Iterable
from dataclasses import dataclass

from aws_cdk import Aws, Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.event_sources import EventSources
from infra.constructs.function import RoomFunction
from infra.constructs.http_api import FrontDoor
from infra.constructs.job_queues import JobQueues
from infra.constructs.recovery import FINDINGS, Recovery
from infra.constructs.training_workflow import TrainingWorkflow
from infra.constructs.webhook_queue import WebhookQueue
from infra.settings import StageSettings

_PERIOD = Duration.minutes(5)
_HALF_WIDTH = 12
_MILLISECONDS = 1000


@dataclass(frozen=True)
class Watched:
    """The parts that have alarms."""

    rooms: list[RoomFunction]
    streams: list[RoomFunction]
    queues: JobQueues
    webhooks: WebhookQueue
    sources: EventSources
    workflow: TrainingWorkflow
    recovery: Recovery
    door: FrontDoor


class Monitoring(Construct):
    """Alarms, the topic they report to, and a dashboard. A missing figure means that nothing happened, which is fine."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: StageSettings, watched: Watched) -> None:
        super().__init__(scope, construct_id)
        self._settings = settings
        self.topic = self._alarm_topic()
        for alarm in (*self._alarms(watched), *(queue.unheard_alarm for queue in watched.queues.all)):
            alarm.add_alarm_action(actions.SnsAction(self.topic))
        self._dashboard(watched)

    def _alarm_topic(self) -> sns.Topic:
        topic = sns.Topic(self, "Alarms", topic_name=self._settings.name("gpupool-alarms"), enforce_ssl=True)
        # A topic with a policy of its own no longer lets the account's alarms in by default.
        cloudwatch_here = iam.ServicePrincipal(
            "cloudwatch.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
        )
        topic.grant_publish(cloudwatch_here)
        if self._settings.alarm_email:
            topic.add_subscription(subscriptions.EmailSubscription(self._settings.alarm_email))
        return topic

    def _alarms(self, watched: Watched) -> Iterable[cloudwatch.Alarm]:
        for room in watched.rooms:
            errors = room.function.metric_errors(period=_PERIOD)
            yield self._above(f"{room.room}-errors", errors, "A call of the function failed.")
        for room in watched.streams:
            age = room.function.metric("IteratorAge", period=_PERIOD, statistic="Maximum")
            why = "Writes wait for the function: jobs and units do not move on."
            yield self._above(f"{room.room}-behind", age, why, threshold=60 * _MILLISECONDS)
        for queue in watched.queues.all:
            why = "Dead letters are not being decided: see the on_dead_letter function."
            yield self._above(f"{queue.name}-dead-letters", _depth(queue.dead_letters), why, periods=3)
        why = "Attempts to deliver webhooks failed on our side; the sweep rings for them again. See the function's log."
        yield self._above("webhooks-dead-letters", _depth(watched.webhooks.dead_letters), why)
        why = "A stream record was given up: what follows from that write has not happened. See the runbook."
        yield self._above("undelivered", _depth(watched.sources.undelivered), why)
        machine = watched.workflow.machine
        endings = {
            "failed": machine.metric_failed(period=_PERIOD),
            "timed-out": machine.metric_timed_out(period=_PERIOD),
            "aborted": machine.metric_aborted(period=_PERIOD),
        }
        for ending, metric in endings.items():
            yield self._above(f"executions-{ending}", metric, "A training job's execution ended without its result.")
        for finding, meaning in FINDINGS.items():
            yield self._above(f"found-{finding.replace('_', '-')}", watched.recovery.found(finding), meaning)
        why = "Callers are answered with server errors."
        yield self._above("api-server-errors", watched.door.api.metric_server_error(period=_PERIOD, statistic="Sum"), why)

    def _above(
        self, name: str, metric: cloudwatch.IMetric, why: str, *, threshold: int = 0, periods: int = 1
    ) -> cloudwatch.Alarm:
        """An alarm for `periods` times five minutes above the threshold."""
        return cloudwatch.Alarm(
            self,
            name,
            alarm_name=self._settings.name(f"gpupool-{name}"),
            alarm_description=why,
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )

    def _dashboard(self, watched: Watched) -> None:
        functions = [room.function for room in watched.rooms]
        machine = watched.workflow.machine
        api = watched.door.api
        graphs: dict[str, list[cloudwatch.IMetric]] = {
            "Requests": [api.metric_count(), api.metric_client_error(), api.metric_server_error()],
            "Latency": [api.metric_latency(statistic="p50"), api.metric_latency(statistic="p99")],
            "Jobs": [machine.metric_started(), machine.metric_succeeded(), machine.metric_failed(), machine.metric_timed_out()],
            "Units waiting": [_depth(queue.queue) for queue in watched.queues.all],
            "Webhook attempts": [_depth(watched.webhooks.queue)],
            "Longest wait": [queue.queue.metric_approximate_age_of_oldest_message() for queue in watched.queues.all],
            "Dead letters": [
                _depth(queue)
                for queue in (*watched.queues.dead_letters, watched.webhooks.dead_letters, watched.sources.undelivered)
            ],
            "Found and repaired": [watched.recovery.found(finding) for finding in FINDINGS],
            "Function errors": [function.metric_errors() for function in functions],
            "Function durations": [function.metric_duration(statistic="p99") for function in functions],
            "Function throttles": [function.metric_throttles() for function in functions],
            "Stream lag": [room.function.metric("IteratorAge", statistic="Maximum") for room in watched.streams],
        }
        dashboard = cloudwatch.Dashboard(self, "Dashboard", dashboard_name=self._settings.name("gpupool"))
        dashboard.add_widgets(
            *(cloudwatch.GraphWidget(title=title, left=metrics, width=_HALF_WIDTH) for title, metrics in graphs.items())
        )


def _depth(queue: sqs.Queue) -> cloudwatch.Metric:
    return queue.metric_approximate_number_of_messages_visible(period=_PERIOD, statistic="Maximum")
