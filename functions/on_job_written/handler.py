"""Stream of ``jobs``: one record per write, at least once, in order per job."""

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from gpupool import bootstrap
from gpupool.observability import logger
from gpupool.streams import job_change

log = logger()
processor = BatchProcessor(event_type=EventType.DynamoDBStreams, raise_on_entire_batch_failure=False)


def record_handler(record: DynamoDBRecord) -> None:
    """Acts on one write. A failure is logged here: the processor only reports the record for redelivery."""
    before, after = job_change(record.raw_event)
    try:
        bootstrap.outbox().job_written(before, after)
    except Exception:
        log.exception("record failed", extra={"job_id": after.id, "status": after.status})
        raise


@log.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    return process_partial_response(event=event, record_handler=record_handler, processor=processor, context=context)
