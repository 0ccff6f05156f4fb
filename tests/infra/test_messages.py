"""Queues, streams and the events that wake functions."""

import json

import pytest

from bench.simulate.filters import EVENT_WRITTEN, JOB_WRITTEN, UNIT_WRITTEN, Filters, pattern
from gpupool.recovery.service import EVERY_SECONDS
from tests.infra.synthesised import Properties, Synthesised

NAMES = [f"{pool}-{kind}" for pool in ("public", "controlled") for kind in ("cpu", "gpu-8g", "gpu-16g", "gpu-24g", "gpu-80g")]


@pytest.mark.parametrize("name", NAMES)
def test_every_job_queue_has_dead_letters_and_an_alarm_when_nobody_receives(prod: Synthesised, name: str) -> None:
    queue = prod.queues[f"gpupool-{name}"]
    assert prod.text(queue["RedrivePolicy"]["deadLetterTargetArn"]) == f"Queue:gpupool-{name}-dlq"
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 20
    assert (queue["VisibilityTimeout"], queue["MessageRetentionPeriod"]) == (30, 14 * 86400)
    alarms = {item["AlarmName"]: item for item in prod.properties("AWS::CloudWatch::Alarm").values()}
    measured = {
        item.get("Expression") or item["MetricStat"]["Metric"]["MetricName"]
        for item in alarms[f"gpupool-{name}-unheard"]["Metrics"]
    }
    assert measured == {
        "IF(waiting > 0 AND received == 0, 1, 0)",
        "ApproximateNumberOfMessagesVisible",
        "NumberOfMessagesReceived",
    }


def test_every_queue_is_a_job_queue_a_dlq_or_the_last_resort(prod: Synthesised) -> None:
    expected = {f"gpupool-{name}" for name in NAMES} | {f"gpupool-{name}-dlq" for name in NAMES}
    others = {"gpupool-undelivered", "gpupool-webhooks", "gpupool-webhooks-dlq"}
    assert set(prod.queues) == expected | others


def test_queues_are_encrypted_and_tls_only(prod: Synthesised) -> None:
    assert all(queue["SqsManagedSseEnabled"] for queue in prod.queues.values())
    policies = prod.properties("AWS::SQS::QueuePolicy").values()
    protected = {prod.text(queue) for policy in policies for queue in policy["Queues"] if _denies_http(policy)}
    assert protected == {f"Queue:{name}" for name in prod.queues}


def test_queue_urls_are_one_json_object(prod: Synthesised) -> None:
    urls = json.loads(prod.environment("on_unit_written")["QUEUE_URLS"])
    assert urls == {name: f"Queue:gpupool-{name}" for name in NAMES}


@pytest.mark.parametrize(("room", "table"), [("on_job_written", "jobs"), ("on_unit_written", "units")])
def test_streams_fail_record_by_record_and_keep_what_they_give_up(prod: Synthesised, room: str, table: str) -> None:
    (mapping,) = _mappings(prod, room)
    assert prod.text(mapping["EventSourceArn"]) == f"Table:{table}:stream"
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["MaximumRetryAttempts"] == 20
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert prod.text(mapping["DestinationConfig"]["OnFailure"]["Destination"]) == "Queue:gpupool-undelivered"


@pytest.mark.parametrize(
    ("room", "filters"),
    [("on_job_written", JOB_WRITTEN), ("on_unit_written", UNIT_WRITTEN), ("on_event_written", EVENT_WRITTEN)],
)
def test_only_writes_with_a_consequence_wake_a_function(prod: Synthesised, room: str, filters: Filters) -> None:
    assert _patterns(prod, room) == [pattern(each) for each in filters]


def test_every_dead_letter_queue_is_read(prod: Synthesised) -> None:
    mappings = _mappings(prod, "on_dead_letter")
    assert {prod.text(item["EventSourceArn"]) for item in mappings} == {f"Queue:gpupool-{name}-dlq" for name in NAMES}
    assert all(item["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for item in mappings)


def test_a_dead_letter_stays_hidden_while_its_function_may_still_run(prod: Synthesised) -> None:
    timeout = prod.functions["on_dead_letter"]["Timeout"]
    assert all(prod.queues[f"gpupool-{name}-dlq"]["VisibilityTimeout"] >= 6 * timeout for name in NAMES)


def test_an_execution_stopped_from_outside_still_closes_its_job(prod: Synthesised) -> None:
    (rule,) = (each for each in prod.properties("AWS::Events::Rule").values() if "EventPattern" in each)
    assert rule["EventPattern"]["detail"]["status"] == ["FAILED", "TIMED_OUT", "ABORTED"]
    (target,) = rule["Targets"]
    assert prod.text(target["Arn"]) == "Function:gpupool-close-job"
    assert prod.text(target["DeadLetterConfig"]["Arn"]) == "Queue:gpupool-undelivered"
    assert target["InputTransformer"]["InputPathsMap"]["detail-name"] == "$.detail.name"
    assert target["InputTransformer"]["InputTemplate"].startswith('{"stopped":<detail-name>,')


def test_webhooks_are_sent_in_small_batches_and_swept_every_five_minutes(prod: Synthesised) -> None:
    (sender,) = _mappings(prod, "deliver_webhook")
    assert (sender["BatchSize"], sender["ScalingConfig"]["MaximumConcurrency"]) == (2, 10)
    assert sender["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert prod.queues["gpupool-webhooks"]["VisibilityTimeout"] == 6 * prod.functions["deliver_webhook"]["Timeout"]
    assert ("Function:gpupool-sweep-webhooks", "rate(5 minutes)") in _schedules(prod)


def test_two_functions_run_by_the_clock(prod: Synthesised) -> None:
    assert sorted(room for room, _ in _schedules(prod)) == ["Function:gpupool-reconcile", "Function:gpupool-sweep-webhooks"]


def test_recovery_runs_as_often_as_it_counts_on(prod: Synthesised) -> None:
    assert ("Function:gpupool-reconcile", f"rate({EVERY_SECONDS // 60} minutes)") in _schedules(prod)


def test_only_a_laptop_delivers_to_itself(prod: Synthesised, local: Synthesised) -> None:
    assert "WEBHOOK_INSECURE_HOSTS" not in json.dumps(prod.body)
    assert json.loads(local.environment("deliver_webhook")["WEBHOOK_INSECURE_HOSTS"]) == ["127.0.0.1", "localhost"]


def _schedules(stage: Synthesised) -> list[tuple[str, str]]:
    """What runs by the clock: the function of each rule, and how often."""
    rules = [each for each in stage.properties("AWS::Events::Rule").values() if "ScheduleExpression" in each]
    return [(stage.text(target["Arn"]), rule["ScheduleExpression"]) for rule in rules for target in rule["Targets"]]


def _mappings(stage: Synthesised, room: str) -> list[Properties]:
    mappings = stage.properties("AWS::Lambda::EventSourceMapping").values()
    return [item for item in mappings if stage.function_rooms[item["FunctionName"]["Ref"]] == room]


def _patterns(stage: Synthesised, room: str) -> list[object]:
    (mapping,) = _mappings(stage, room)
    return [json.loads(item["Pattern"]) for item in mapping["FilterCriteria"]["Filters"]]


def _denies_http(policy: Properties) -> bool:
    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    return any(item.get("Condition") == insecure for item in policy["PolicyDocument"]["Statement"] if item["Effect"] == "Deny")
