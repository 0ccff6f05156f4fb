"""Streams as the outbox reads them: records turned into rows, and a function that acts on them one by one."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from gpupool.events.dynamo import event_from
from gpupool.events.model import Event
from gpupool.jobs.dynamo import job_from
from gpupool.jobs.model import Job
from gpupool.observability import logger
from gpupool.units.dynamo import unit_from
from gpupool.units.model import Unit

Record = Mapping[str, Any]
Row = TypeVar("Row", Job, Unit, Event)
Act = Callable[[Row | None, Row], None]
Handler = Callable[[dict[str, Any], LambdaContext], Any]


def job_change(record: Record) -> tuple[Job | None, Job]:
    """A job before (None when it is new) and after a write."""
    change = record["dynamodb"]
    before = change.get("OldImage")
    return (job_from(before) if before else None), job_from(change["NewImage"])


def unit_change(record: Record) -> tuple[Unit | None, Unit]:
    """A unit before (None when it is new) and after a write."""
    change = record["dynamodb"]
    before = change.get("OldImage")
    return (unit_from(before) if before else None), unit_from(change["NewImage"])


def event_change(record: Record) -> tuple[Event | None, Event]:
    """An event, which is written once: there is nothing before it."""
    return None, event_from(record["dynamodb"]["NewImage"])


def stream_handler(read: Callable[[Record], tuple[Row | None, Row]], begin: Callable[[], Act[Row]]) -> Handler:
    """A Lambda handler that begins each batch anew, does what that answers once per record, and reports the records that failed
    for redelivery."""
    log = logger()
    processor = BatchProcessor(event_type=EventType.DynamoDBStreams, raise_on_entire_batch_failure=False)

    def one(act: Act[Row], record: DynamoDBRecord) -> None:
        before, after = read(record.raw_event)
        try:
            act(before, after)
        except Exception:
            # The processor only reports the record; without this line nobody would learn why it comes again.
            log.exception(
                "record failed", extra={"row_id": after.id, "state": after.type if isinstance(after, Event) else after.status}
            )
            raise

    @log.inject_lambda_context
    def handler(event: dict[str, Any], context: LambdaContext) -> Any:
        return process_partial_response(event=event, record_handler=partial(one, begin()), processor=processor, context=context)

    return handler
