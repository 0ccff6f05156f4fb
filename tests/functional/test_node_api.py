"""The node door's function with API Gateway's events, on the real adapters."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any

import pytest

from functions.node_api.handler import handler
from gpupool import aws, bootstrap
from gpupool.jobs.dynamo import create_write
from gpupool.nodes.keys import code_hash, new_code
from gpupool.nodes.model import PairingCode, Tier
from gpupool.objects.store import to_base64
from gpupool.units.model import Output, Unit, UnitStatus
from gpupool.wire.joining import CredentialsResponse, Doorbell, PairResponse
from gpupool.wire.units import HeartbeatResponse, InputsResponse, OutputsResponse, ReportResponse, UnitGrant
from gpupool.wire.vocabulary import ArtifactKind
from tests.support.deployment import BUCKET, deployed
from tests.support.events import Answer, invoke, load_event
from tests.support.work import CUSTOMER_ID, JOB_ID, a_job, a_unit

MODEL = b"the model"
UNIT_ID = a_unit().id


@pytest.fixture(autouse=True)
def _deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with deployed(monkeypatch):
        yield


def send(case: str, *, key: str | None = None, **changes: Any) -> Answer:
    """The event of ``case``, from the machine with that device key, its body changed where named."""
    event = load_event(f"node_api.{case}")
    event["body"] = json.dumps(json.loads(event["body"]) | changes)
    if key is not None:
        event["headers"]["authorization"] = f"Bearer {key}"
    return invoke(handler, event)


def pair(tier: Tier = Tier.COMMUNITY) -> PairResponse:
    answer = send("pair", code=bootstrap.node_core().pairing.create_code(tier))
    assert answer.status == 201, answer.body
    return PairResponse.model_validate(answer.body)


def ring() -> dict[str, str]:
    """A queued unit, its bell rung and heard: the doorway that a node would send."""
    ports = bootstrap.ports()
    aws.dynamodb().put_item(**create_write("jobs", a_job()))
    ports.units.add_all((a_unit(),))
    url = ports.queue.queue_url(a_unit().pool, a_unit().capability)
    ports.queue.ring(url, Doorbell(job_id=JOB_ID, unit_id=UNIT_ID, attempt=0), group=CUSTOMER_ID)
    return {"queue_url": url, "receipt_handle": hear(url)[0]}


def hear(url: str) -> list[str]:
    messages = aws.sqs().receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [message["ReceiptHandle"] for message in messages]


def claim(key: str, doorway: dict[str, str] | None = None) -> dict[str, Any]:
    answer = send("claim", key=key, doorway=doorway or ring())
    assert answer.status == 200, answer.body
    grant = UnitGrant.model_validate(answer.body)
    return {"attempt": grant.attempt, "lease_token": grant.lease_token}


def stored_unit() -> Unit:
    unit = bootstrap.ports().units.get(UNIT_ID)
    assert unit is not None
    return unit


def test_a_machine_pairs_and_is_known_by_its_key() -> None:
    paired = pair(Tier.CONTROLLED)

    assert paired.tier == "controlled"
    answer = send("heartbeat", key=paired.device_key, units=[])
    assert HeartbeatResponse.model_validate(answer.body).units == []
    node = bootstrap.ports().nodes.get(paired.node_id)
    assert node is not None
    assert node.last_poll_ok_at == datetime(2026, 1, 1, 0, 0, 11, tzinfo=UTC)


def test_a_code_cannot_be_used_again() -> None:
    code = bootstrap.node_core().pairing.create_code(Tier.COMMUNITY)
    assert send("pair", code=code).status == 201

    again = send("pair", code=code)

    assert (again.status, again.code) == (400, "PAIRING_CODE_INVALID")


def test_an_expired_code_is_refused() -> None:
    code = new_code(token_hex)
    made = datetime.now(UTC) - timedelta(minutes=15, seconds=1)
    bootstrap.ports().nodes.add_code(PairingCode(code_hash(code), Tier.CONTROLLED, made))

    answer = send("pair", code=code)

    assert (answer.status, answer.code) == (400, "PAIRING_CODE_INVALID")


def test_the_example_code_of_the_event_opens_nothing() -> None:
    assert send("pair").code == "PAIRING_CODE_INVALID"


def test_a_machine_gets_keys_for_its_queues() -> None:
    answer = send("credentials", key=pair(Tier.COMMUNITY).device_key)

    granted = CredentialsResponse.model_validate(answer.body)
    assert [queue.capability for queue in granted.queues] == ["gpu-24g", "gpu-16g", "gpu-8g", "cpu"]
    assert {queue.pool for queue in granted.queues} == {"public"}
    assert granted.access_key_id
    assert granted.region == "us-east-1"
    assert timedelta(minutes=50) < granted.expires_at - datetime.now(UTC) <= timedelta(hours=1)
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("case", ["credentials", "heartbeat", "claim", "decline", "inputs", "outputs", "complete", "fail"])
def test_the_example_key_of_the_events_opens_nothing(case: str) -> None:
    answer = send(case)

    assert (answer.status, answer.code) == (401, "NODE_AUTH_REQUIRED")
    assert answer.headers["x-request-id"] == answer.body["error"]["request_id"] == "JKJaXmPLvHcESHA="


def test_a_revoked_machine_is_told_so() -> None:
    paired = pair()
    bootstrap.node_core().nodes.revoke(paired.node_id)

    answer = send("heartbeat", key=paired.device_key)

    assert (answer.status, answer.code) == (403, "NODE_REVOKED")


def test_a_unit_is_claimed_kept_uploaded_and_completed_once() -> None:
    key = pair().device_key
    doorway = ring()
    lease = claim(key, doorway)

    running = {"unit_id": UNIT_ID, "lease": lease, "doorway": doorway, "progress": {"fraction": 0.5}}
    beat = send("heartbeat", key=key, units=[running])
    assert HeartbeatResponse.model_validate(beat.body).units[0].verdict == "continue"
    assert stored_unit().progress_fraction == 0.5

    uploads = OutputsResponse.model_validate(send("outputs", key=key, lease=lease).body).uploads
    assert f"/jobs/{JOB_ID}/{UNIT_ID}/1/model.tar.gz?" in uploads["model.tar.gz"].url
    checksum = {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": to_base64(hashlib.sha256(MODEL).hexdigest())}
    aws.s3().put_object(Bucket=BUCKET, Key=f"jobs/{JOB_ID}/{UNIT_ID}/1/model.tar.gz", Body=MODEL, **checksum)

    assert bootstrap.ports().queue.waiting(doorway["queue_url"]) == 1
    first = ReportResponse.model_validate(send("complete", key=key, lease=lease, doorway=doorway).body)
    assert bootstrap.ports().queue.waiting(doorway["queue_url"]) == 0
    second = ReportResponse.model_validate(send("complete", key=key, lease=lease, doorway=doorway).body)

    assert (first.status, first.accepted, second.accepted) == ("completed", True, False)
    assert stored_unit().metrics == {"test_accuracy": 0.97}
    assert stored_unit().outputs == (Output("model.tar.gz", ArtifactKind.MODEL, len(MODEL), hashlib.sha256(MODEL).hexdigest()),)


def test_a_report_without_its_upload_is_refused() -> None:
    key = pair().device_key

    answer = send("complete", key=key, lease=claim(key))

    assert (answer.status, answer.code) == (409, "OUTPUT_MISSING")
    assert stored_unit().status is UnitStatus.RUNNING


def test_a_failure_is_kept_with_its_cause_and_the_unit_is_offered_again() -> None:
    key = pair().device_key

    answer = send("fail", key=key, lease=claim(key))

    assert ReportResponse.model_validate(answer.body).status == "queued"
    failure = stored_unit().failure
    assert failure is not None
    assert (failure.code, failure.exit_code, failure.log_tail) == ("SCRIPT_FAILED", 1, "ValueError: shapes do not match")


def test_another_machine_cannot_use_the_lease() -> None:
    lease = claim(pair().device_key)
    thief = pair().device_key

    for case in ("inputs", "outputs", "complete", "fail"):
        answer = send(case, key=thief, lease=lease)
        assert (answer.status, answer.code) == (409, "LEASE_LOST")
    assert stored_unit().status is UnitStatus.RUNNING


def test_the_holder_gets_fresh_links_to_its_inputs() -> None:
    key = pair().device_key

    inputs = InputsResponse.model_validate(send("inputs", key=key, lease=claim(key)).body)

    assert inputs.dataset.download.sha256 == a_job().dataset.sha256
    for download, source in ((inputs.dataset.download, a_job().dataset), (inputs.package, a_job().package)):
        assert f"/{source.key}?" in download.url
        assert "X-Amz-Expires=900" in download.url


def test_a_made_up_receipt_claims_nothing() -> None:
    key = pair().device_key

    answer = send("claim", key=key, doorway=ring() | {"receipt_handle": "made-up"})

    assert (answer.status, answer.code) == (409, "UNIT_LEASED")
    assert stored_unit() == a_unit()


def test_a_claimed_bell_stays_hidden_and_a_declined_one_rings_again() -> None:
    key = pair().device_key
    doorway = ring()
    assert hear(doorway["queue_url"]) == []

    declined = send("decline", key=key, doorway=doorway)
    assert (declined.status, declined.body) == (204, None)
    [receipt] = hear(doorway["queue_url"])

    assert send("claim", key=key, doorway=doorway | {"receipt_handle": receipt}).status == 200
    assert hear(doorway["queue_url"]) == []


@pytest.mark.parametrize("case", ["claim", "decline"])
def test_a_foreign_doorway_reaches_no_queue(case: str) -> None:
    foreign = {"queue_url": "https://sqs.us-east-1.amazonaws.com/999999999999/theirs", "receipt_handle": "receipt"}

    answer = send(case, key=pair().device_key, doorway=foreign)

    assert (answer.status, answer.code) == (400, "VALIDATION_FAILED")
    assert answer.body["error"]["details"]["field"] == "/doorway/queue_url"


def test_an_agent_of_another_protocol_is_told_to_update() -> None:
    event = load_event("node_api.heartbeat")
    event["headers"]["x-gpupool-protocol"] = "2"

    assert invoke(handler, event).code == "PROTOCOL_UNSUPPORTED"


def test_an_unknown_path_answers_in_the_envelope() -> None:
    event = load_event("node_api.heartbeat")
    event["rawPath"] = event["requestContext"]["http"]["path"] = "/api/v1/node/"

    answer = invoke(handler, event)

    assert (answer.status, answer.code) == (404, "VALIDATION_FAILED")
