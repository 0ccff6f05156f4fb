"""The queue of attempts on SQS."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from gpupool.webhooks.queue import AttemptRef

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class SqsDeliveryQueue:
    def __init__(self, client: "SQSClient", queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def ring(self, ref: AttemptRef, *, delay_seconds: int = 0) -> None:
        """The group keeps a customer with many messages, or with receivers that take their time, from delaying the others."""
        self._client.send_message(
            QueueUrl=self._queue_url,
            MessageBody=json.dumps(asdict(ref)),
            DelaySeconds=delay_seconds,
            MessageGroupId=ref.customer_id,
        )


def attempt_from(body: str) -> AttemptRef | None:
    """The attempt that a message names; None when it names none."""
    try:
        return AttemptRef(**json.loads(body))
    except (ValueError, TypeError):
        return None
