"""P8: DynamoDB stream mappings retry, bisect, report and give up as documented, each on its own.

AWS reads every stream with a poller of its own; a failing batch is halved (BisectBatchOnFunctionError), retried up to
MaximumRetryAttempts, resumed at the first record a partial batch response names (ReportBatchItemFailures) and, given up,
described to the OnFailure destination while the stream moves on.
The emulator runs all streams one after the other on the thread that also polls SQS, and knows none of these but the age
limit: one poisoned record stops its stream for ever, and a slow handler stops every mapping.
The patch replaces that poller: one batch of a mapping at a time, each in a thread, judged by `stream_retries`.
"""

import time
from typing import Any

from ministack.core.arn import ArnParseError, parse_arn
from ministack.services import dynamodb, lambda_svc

from local.emulator.patches import stream_persistence
from local.emulator.pinned import require_pinned, wrap
from local.emulator.stream_retries import Progress, RetryPolicy, Verdict, first_failure, judge

require_pinned()

_RETRY_SECONDS = 1.0
_DEFAULT_BATCH_SIZE = 100

_progress: dict[str, Progress] = {}


def _poll_streams(_original: Any) -> bool:
    found = False
    stream_persistence.forget_delivered()
    for account, region, mapping in lambda_svc._iter_all_esms():
        account_marker = lambda_svc._request_account_id.set(account)
        region_marker = lambda_svc._request_region.set(region)
        try:
            found = _poll_mapping(mapping) or found
        finally:
            lambda_svc._request_account_id.reset(account_marker)
            lambda_svc._request_region.reset(region_marker)
    return found


def _poll_mapping(mapping: Any) -> bool:
    table_name = _stream_table(mapping)
    if table_name is None or not _is_free(mapping["UUID"]):
        return False
    position = _position(mapping, table_name=table_name)
    progress = _progress.get(mapping["UUID"], Progress())
    limit = progress.limit or int(mapping.get("BatchSize", _DEFAULT_BATCH_SIZE))
    records = list(dynamodb.stream_records_since(table_name, position, limit))
    if not records:
        return False
    lambda_svc._dispatch_esm_batch(mapping["UUID"], _run_batch, mapping, records, position)
    return True


def _stream_table(mapping: Any) -> str | None:
    source = mapping.get("EventSourceArn", "")
    if not mapping.get("Enabled", True) or ":dynamodb:" not in source:
        return None
    try:
        table_stream = lambda_svc._dynamodb_stream_table_from_arn_spec(parse_arn(source))
    except ArnParseError:
        return None
    name = table_stream[0] if table_stream else ""
    table = dynamodb._tables.get(name)
    return name if table and table.get("LatestStreamArn") == source else None


def _is_free(mapping_id: str) -> bool:
    resting = lambda_svc._esm_backoff_until.get(mapping_id, 0) > time.time()
    return not resting and lambda_svc._esm_inflight.get(mapping_id, 0) == 0


def _position(mapping: Any, *, table_name: str) -> int:
    horizon = dynamodb.stream_start_position(table_name)
    positions = lambda_svc._dynamodb_stream_positions
    with lambda_svc._dynamodb_stream_positions_lock:
        if mapping["UUID"] not in positions:
            at_horizon = mapping.get("StartingPosition") == "TRIM_HORIZON"
            positions[mapping["UUID"]] = horizon if at_horizon else dynamodb.stream_end_position(table_name)
        positions[mapping["UUID"]] = max(positions[mapping["UUID"]], horizon)
        return int(positions[mapping["UUID"]])


def _run_batch(mapping: Any, records: list[Any], position: int) -> None:
    wanted = lambda_svc._apply_filter_criteria(records, mapping)
    if not wanted:
        _settle(mapping, position=position, verdict=Verdict(done=len(records), progress=Progress()))
        return
    function, config = lambda_svc._get_func_record_for_qualifier(mapping["FunctionName"], mapping.get("Qualifier"))
    if function is None:
        return
    result = lambda_svc._execute_function({**function, "config": config}, {"Records": wanted})
    policy = RetryPolicy.of(mapping)
    failed_at = _failed_at(result, policy=policy, wanted=wanted, records=records)
    progress = _progress.get(mapping["UUID"], Progress())
    age = time.time() - min(_created(record) for record in wanted)
    verdict = judge(policy=policy, progress=progress, size=len(records), failed_at=failed_at, oldest_age_seconds=age)
    if failed_at is not None:
        lambda_svc.logger.warning("stream batch of %s failed: %s", mapping["FunctionName"], result.get("log", ""))
    if verdict.discard:
        given_up = [record for record in records[failed_at or 0 :] if record in wanted]
        lambda_svc._send_ddb_stream_failure_record(
            mapping, function, given_up, mapping["EventSourceArn"], result, verdict.discard
        )
    _settle(mapping, position=position, verdict=verdict)


def _failed_at(result: Any, *, policy: RetryPolicy, wanted: list[Any], records: list[Any]) -> int | None:
    if result.get("error"):
        return records.index(wanted[0])
    if not policy.partial:
        return None
    numbers = [str(record["dynamodb"]["SequenceNumber"]) for record in wanted]
    failed = first_failure(body=result.get("body"), sequence_numbers=numbers)
    return None if failed is None else records.index(wanted[failed])


def _created(record: Any) -> float:
    return float(record.get("dynamodb", {}).get("ApproximateCreationDateTime", time.time()))


def _settle(mapping: Any, *, position: int, verdict: Verdict) -> None:
    mapping_id = mapping["UUID"]
    _progress[mapping_id] = verdict.progress
    with lambda_svc._dynamodb_stream_positions_lock:
        lambda_svc._dynamodb_stream_positions[mapping_id] = position + verdict.done
    if verdict.wait:
        lambda_svc._esm_backoff_until[mapping_id] = time.time() + _RETRY_SECONDS
    mapping["LastProcessingResult"] = "OK" if verdict.progress.failures == 0 and not verdict.discard else "FAILED"


def apply() -> None:
    """Poll DynamoDB streams with the documented retry rules."""
    wrap(lambda_svc, "_poll_dynamodb_streams", _poll_streams)
