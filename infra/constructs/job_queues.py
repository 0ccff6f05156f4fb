"""The doorbells: one queue per pool and capability class, each with its dead letters and an alarm on its age."""

from collections.abc import Iterable
from enum import StrEnum

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.function import RoomFunction
from infra.settings import StageSettings

VISIBILITY = Duration.seconds(30)
RETENTION = Duration.days(14)
MAX_RECEIVES = 20
_QUEUE_URLS = "QUEUE_URLS"


class Pool(StrEnum):
    """Whose machines: anyone's, or those the platform controls."""

    PUBLIC = "public"
    CONTROLLED = "controlled"


class CapabilityClass(StrEnum):
    """What a machine must have at least: the figure is its VRAM floor in GB."""

    CPU = "cpu"
    GPU_8G = "gpu-8g"
    GPU_16G = "gpu-16g"
    GPU_24G = "gpu-24g"
    GPU_80G = "gpu-80g"


class JobQueue(Construct):
    """A queue, its dead-letter queue, and an alarm when a message has waited so long that no machine seems to serve it."""

    def __init__(self, scope: Construct, name: str, *, settings: StageSettings, dead_letter_visibility: Duration) -> None:
        super().__init__(scope, name)
        physical = settings.name(f"gpupool-{name}")
        self.name = name
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            queue_name=f"{physical}-dlq",
            visibility_timeout=dead_letter_visibility,
            retention_period=RETENTION,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
        )
        self.queue = sqs.Queue(
            self,
            "Queue",
            queue_name=physical,
            visibility_timeout=VISIBILITY,
            retention_period=RETENTION,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=MAX_RECEIVES),
        )
        self.age_alarm = cloudwatch.Alarm(
            self,
            "Age",
            alarm_name=f"{physical}-age",
            alarm_description=f"A unit has waited for an hour on {physical}: no machine of that class takes work.",
            metric=self.queue.metric_approximate_age_of_oldest_message(period=Duration.minutes(5), statistic="Maximum"),
            threshold=3600,
            evaluation_periods=3,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )


class JobQueues(Construct):
    """All job queues. Their names are `<pool>-<class>`."""

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: StageSettings, dead_letter_visibility: Duration
    ) -> None:
        super().__init__(scope, construct_id)
        names = [f"{pool}-{kind}" for pool in Pool for kind in CapabilityClass]
        self.all = [JobQueue(self, name, settings=settings, dead_letter_visibility=dead_letter_visibility) for name in names]

    @property
    def arns(self) -> list[str]:
        return [queue.queue.queue_arn for queue in self.all]

    @property
    def dead_letters(self) -> Iterable[sqs.Queue]:
        return [queue.dead_letters for queue in self.all]

    @property
    def variables(self) -> dict[str, str]:
        """The queues' URLs by name, as one JSON object."""
        urls = {queue.name: queue.queue.queue_url for queue in self.all}
        return {_QUEUE_URLS: Stack.of(self).to_json_string(urls)}

    def let_send(self, *functions: RoomFunction) -> None:
        self._let(["sqs:SendMessage"], functions)

    def let_extend_and_delete(self, *functions: RoomFunction) -> None:
        """What the control plane does for nodes, which may only receive."""
        self._let(["sqs:ChangeMessageVisibility", "sqs:DeleteMessage"], functions)

    def _let(self, actions: list[str], functions: Iterable[RoomFunction]) -> None:
        for function in functions:
            function.know(self.variables)
            function.allow(actions, on=self.arns)
