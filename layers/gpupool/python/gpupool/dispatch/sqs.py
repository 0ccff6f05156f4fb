"""Doorbells on SQS standard queues."""

import json
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gpupool.dispatch.model import QueueUrls, check_doorway
from gpupool.dynamo import error_code
from gpupool.units.model import Pool
from gpupool.wire.joining import Doorbell
from gpupool.wire.units import Doorway
from gpupool.wire.vocabulary import CapabilityClass

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType

logger = logging.getLogger(__name__)

_WAITING: "list[QueueAttributeNameType]" = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
]

# What SQS answers for a receipt that has expired, was deleted, belongs to another queue or is nonsense.
_STALE_RECEIPT = frozenset(
    {
        "ReceiptHandleIsInvalid",
        "InvalidParameterValue",
        "MessageNotInflight",
        "AWS.SimpleQueueService.MessageNotInflight",
    }
)


class SqsQueue:
    def __init__(self, client: "SQSClient", urls: QueueUrls) -> None:
        self._client = client
        self._urls = urls

    def queue_url(self, pool: Pool, capability: CapabilityClass) -> str:
        return self._urls.require(pool, capability)

    def ring(self, queue_url: str, bell: Doorbell, *, group: str) -> None:
        self._client.send_message(QueueUrl=queue_url, MessageBody=bell.model_dump_json(), MessageGroupId=group)

    def hide(self, doorway: Doorway, *, seconds: int) -> bool:
        check_doorway(doorway, served=self._urls)
        return _taken(
            lambda: self._client.change_message_visibility(
                QueueUrl=doorway.queue_url, ReceiptHandle=doorway.receipt_handle, VisibilityTimeout=seconds
            )
        )

    def silence(self, doorway: Doorway) -> None:
        check_doorway(doorway, served=self._urls)
        _taken(lambda: self._client.delete_message(QueueUrl=doorway.queue_url, ReceiptHandle=doorway.receipt_handle))

    def waiting(self, queue_url: str) -> int:
        attributes = self._client.get_queue_attributes(QueueUrl=queue_url, AttributeNames=[*_WAITING, "RedrivePolicy"])
        found = attributes["Attributes"]
        return _held(found) + self._dead_letters(queue_url, found.get("RedrivePolicy"))

    def _dead_letters(self, queue_url: str, redrive_policy: str | None) -> int:
        if redrive_policy is None:
            return 0
        name = json.loads(redrive_policy)["deadLetterTargetArn"].rpartition(":")[2]
        url = f"{queue_url.rpartition('/')[0]}/{name}"
        return _held(self._client.get_queue_attributes(QueueUrl=url, AttributeNames=_WAITING)["Attributes"])


def _held(attributes: Mapping[Any, str]) -> int:
    return sum(int(attributes[name]) for name in _WAITING)


def _taken(act: Callable[[], object]) -> bool:
    """Whether the queue takes the receipt that ``act`` sends; whatever else goes wrong is raised."""
    try:
        act()
    except Exception as error:
        code = error_code(error)
        if code not in _STALE_RECEIPT:
            raise
        logger.info("doorway_stale", extra={"aws_code": code})
        return False
    return True
