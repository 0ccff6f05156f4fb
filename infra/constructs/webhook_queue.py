"""The queue of webhook attempts, what wakes the sender, and the sweep that finds what the queue lost."""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sqs as sqs
from aws_cdk.aws_lambda_event_sources import SqsEventSource
from constructs import Construct

from infra.constructs.function import RoomFunction
from infra.settings import StageSettings

_BATCH = 2
# Lambda asks for six times the function's timeout, so that no message is handed out twice while it is worked on.
_VISIBILITIES = 6
_MAX_RECEIVES = 5
# At most so many receivers are waited for at once; a slow one must not take the account's concurrency.
_SENDERS = 10
SWEEP_EVERY = Duration.minutes(5)


class WebhookQueue(Construct):
    """Messages are hints. One that ends among the dead letters costs a delay: the sweep rings for its delivery again."""

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: StageSettings, sender: RoomFunction, sweep: RoomFunction
    ) -> None:
        super().__init__(scope, construct_id)
        name = settings.name("gpupool-webhooks")
        visibility = Duration.seconds(_VISIBILITIES * int(sender.timeout.to_seconds()))
        self.dead_letters = self._queue("DeadLetters", f"{name}-dlq", visibility=visibility)
        self.queue = self._queue(
            "Queue",
            name,
            visibility=visibility,
            dead_letters=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=_MAX_RECEIVES),
        )
        sender.function.add_event_source(
            SqsEventSource(self.queue, batch_size=_BATCH, report_batch_item_failures=True, max_concurrency=_SENDERS)
        )
        rule = events.Rule(
            self,
            "Sweep",
            description="Finds webhook attempts that are due soon or were forgotten",
            schedule=events.Schedule.rate(SWEEP_EVERY),
        )
        # One that fails is followed by the next; trying it again would only pile up.
        rule.add_target(targets.LambdaFunction(sweep.function, retry_attempts=0))
        self.let_send(sender, sweep)

    @property
    def variables(self) -> dict[str, str]:
        return {"WEBHOOK_QUEUE_URL": self.queue.queue_url}

    def let_send(self, *functions: RoomFunction) -> None:
        for function in functions:
            function.know(self.variables)
            function.allow(["sqs:SendMessage"], on=[self.queue.queue_arn])

    def _queue(
        self, construct_id: str, name: str, *, visibility: Duration, dead_letters: sqs.DeadLetterQueue | None = None
    ) -> sqs.Queue:
        return sqs.Queue(
            self,
            construct_id,
            queue_name=name,
            visibility_timeout=visibility,
            retention_period=Duration.days(14),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            dead_letter_queue=dead_letters,
        )
