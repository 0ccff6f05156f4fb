"""Attempts to deliver webhooks, one message each. Its role can read and write deliveries and this queue, nothing else."""

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from gpupool import bootstrap
from gpupool.observability import logger
from gpupool.webhooks.sqs import attempt_from

log = logger()
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def record_handler(record: SQSRecord) -> None:
    """Makes one attempt. A receiver that fails is no failure of ours: the row notes it and knows when to try again."""
    ref = attempt_from(record.body)
    if ref is None:
        log.error("not an attempt", extra={"message_id": record.message_id})
        return
    try:
        bootstrap.deliverer().deliver(ref)
    except Exception:
        log.exception("attempt failed", extra={"delivery_id": ref.delivery_id, "endpoint_id": ref.endpoint_id})
        raise


@log.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    return process_partial_response(event=event, record_handler=record_handler, processor=processor, context=context)
