"""Every dead-letter queue of the doorbells."""

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import ValidationError

from gpupool import bootstrap
from gpupool.observability import logger
from gpupool.wire.joining import Doorbell

log = logger()
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def record_handler(record: SQSRecord) -> None:
    """Decides about one bell. A body that is no doorbell was never ours: it is logged and let go."""
    try:
        bell = Doorbell.model_validate_json(record.body)
    except ValidationError:
        log.error("not a doorbell", extra={"message_id": record.message_id})
        return
    log.warning("dead letter", extra={"unit_id": bell.unit_id, "attempt": bell.attempt})
    bootstrap.dead_letters().handle(bell)


@log.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    return process_partial_response(event=event, record_handler=record_handler, processor=processor, context=context)
