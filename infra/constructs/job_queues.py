"""The doorbells: one queue per pool and capability class, each with its dead letters and an alarm for one that nobody hears."""

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
    """A queue, its dead-letter queue, and an alarm when messages wait and no machine receives any."""

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
        # Not the age of the oldest message: a bell stays in its queue, hidden, for as long as its unit runs.
        unheard = cloudwatch.MathExpression(
            expression="IF(waiting > 0 AND received == 0, 1, 0)",
            using_metrics={
                "waiting": self.queue.metric_approximate_number_of_messages_visible(statistic="Minimum"),
                "received": self.queue.metric_number_of_messages_received(statistic="Sum"),
            },
            period=Duration.minutes(5),
        )
        self.unheard_alarm = cloudwatch.Alarm(
            self,
            "Unheard",
            alarm_name=f"{physical}-unheard",
            alarm_description=f"Units wait on {physical} and for 30 minutes no machine of that class has received any.",
            metric=unheard,
            threshold=1,
            evaluation_periods=6,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
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

    def let_count(self, *functions: RoomFunction) -> None:
        """How many messages a queue holds, and how many are its dead letters."""
        self._let(["sqs:GetQueueAttributes"], functions)
        for function in functions:
            function.allow(["sqs:GetQueueAttributes"], on=[queue.queue_arn for queue in self.dead_letters])

    def _let(self, actions: list[str], functions: Iterable[RoomFunction]) -> None:
        for function in functions:
            function.know(self.variables)
            function.allow(actions, on=self.arns)
