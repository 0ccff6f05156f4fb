"""What a machine's keys open: its own queues, for receiving. IAM is enforced on the local stack as on AWS."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.bringup import LocalStack
from local.seed import operator
from tests.stack.customers import Answer, Json, call

pytestmark = pytest.mark.stack

_STRONG = {
    "cpu_count": 8,
    "memory_mb": 64_000,
    "disk_free_mb": 500_000,
    "gpus": [{"name": "a card", "vram_mb": 81_000}],
    "sandbox": "bubblewrap",
}
_PROTOCOL = {"X-Gpupool-Protocol": "1"}
_CLASSES = {"cpu", "gpu-8g", "gpu-16g", "gpu-24g", "gpu-80g"}


@dataclass(frozen=True)
class Keys:
    """What the control plane gave to one machine."""

    stack: LocalStack
    device_key: str
    grant: Json

    def client(self, service: str) -> Any:
        return boto3.session.Session().client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.stack.endpoint,
            region_name=self.grant["region"],
            aws_access_key_id=self.grant["access_key_id"],
            aws_secret_access_key=self.grant["secret_access_key"],
            aws_session_token=self.grant["session_token"],
        )

    def queue(self, pool: str, capability: str) -> str:
        """The URL of a queue of the pool, granted or not."""
        url: str = json.loads(self.stack.variables["QUEUE_URLS"])[f"{pool}-{capability}"]
        return url

    @property
    def granted(self) -> set[tuple[str, str]]:
        return {(queue["pool"], queue["capability"]) for queue in self.grant["queues"]}


def ask_node(stack: LocalStack, path: str, body: Json, *, device_key: str | None = None) -> Answer:
    headers = _PROTOCOL | ({"Authorization": f"Bearer {device_key}"} if device_key else {})
    return call("POST", f"{stack.api}/api/v1/node{path}", headers=headers, body=body)


def pair(stack: LocalStack, *, tier: str, capabilities: Json) -> Keys:
    """A machine that only says that it is there; it never takes a unit."""
    code = operator("pairing-code", "--tier", tier, environment=stack.variables)["code"]
    paired = ask_node(stack, "/pair", {"code": code, "name": tier, "capabilities": capabilities})
    assert 200 <= paired.status < 300, paired
    again = ask_node(stack, "/pair", {"code": code, "name": "twice", "capabilities": capabilities})
    assert (again.status, again.error["code"]) == (400, "PAIRING_CODE_INVALID")
    key = paired.body["device_key"]
    granted = ask_node(stack, "/credentials", {"capabilities": capabilities}, device_key=key)
    assert granted.status == 200, granted
    return Keys(stack, key, granted.body)


@pytest.fixture(scope="module")
def controlled(local_stack: LocalStack) -> Keys:
    return pair(local_stack, tier="controlled", capabilities=_STRONG)


@pytest.fixture(scope="module")
def community(local_stack: LocalStack) -> Keys:
    return pair(local_stack, tier="community", capabilities=_STRONG)


def refused(action: Callable[[], object]) -> bool:
    """Whether the keys do not open this; an answer of any other kind, good or bad, means that they do."""
    try:
        action()
    except ClientError as error:
        denied = "AccessDenied" in error.response["Error"]["Code"]
        return denied or error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    return False


def may_receive(keys: Keys, url: str) -> bool:
    return not refused(lambda: keys.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=0))


def test_tier_and_hardware_choose_the_queues(local_stack: LocalStack, controlled: Keys, community: Keys) -> None:
    weak = pair(local_stack, tier="controlled", capabilities=_STRONG | {"gpus": [{"name": "small", "vram_mb": 16_300}]})
    bare = pair(local_stack, tier="controlled", capabilities=_STRONG | {"sandbox": "none"})

    assert controlled.granted == {(pool, capability) for pool in ("public", "controlled") for capability in _CLASSES}
    assert community.granted == {("public", capability) for capability in _CLASSES}
    assert {capability for _, capability in weak.granted} == {"cpu", "gpu-8g", "gpu-16g"}
    assert (bare.granted, bare.grant["access_key_id"]) == (set(), "")


def test_own_queues_may_be_received_from(community: Keys) -> None:
    assert may_receive(community, community.queue("public", "gpu-80g"))


def test_nothing_else_may_be_done_to_them(community: Keys) -> None:
    sqs = community.client("sqs")
    queue = {"QueueUrl": community.queue("public", "gpu-80g")}
    actions: dict[str, Callable[[], object]] = {
        "delete": lambda: sqs.delete_message(**queue, ReceiptHandle="any"),
        "hide": lambda: sqs.change_message_visibility(**queue, ReceiptHandle="any", VisibilityTimeout=0),
        "send": lambda: sqs.send_message(**queue, MessageBody="{}"),
        "purge": lambda: sqs.purge_queue(**queue),
        "remove": lambda: sqs.delete_queue(**queue),
        "configure": lambda: sqs.set_queue_attributes(**queue, Attributes={"VisibilityTimeout": "0"}),
        "list": lambda: sqs.list_queues(),
    }

    assert {name for name, action in actions.items() if not refused(action)} == set()


def test_other_queues_are_closed(local_stack: LocalStack, community: Keys) -> None:
    weak = pair(local_stack, tier="controlled", capabilities=_STRONG | {"gpus": []})
    dead_letters = community.queue("public", "cpu") + "-dlq"
    foreign = [
        *((community, community.queue("controlled", capability)) for capability in _CLASSES),
        *((weak, weak.queue(pool, "gpu-80g")) for pool in ("public", "controlled")),
        (community, dead_letters),
        (weak, dead_letters),
    ]

    opened = [url for keys, url in foreign if may_receive(keys, url)]

    assert opened == []


def test_everything_beyond_queues_is_closed(controlled: Keys) -> None:
    names = controlled.stack.variables
    s3, dynamo, sts = controlled.client("s3"), controlled.client("dynamodb"), controlled.client("sts")
    machine = names["STATE_MACHINE_ARN"]
    actions: dict[str, Callable[[], object]] = {
        "list bucket": lambda: s3.list_objects_v2(Bucket=names["BUCKET"]),
        "get object": lambda: s3.get_object(Bucket=names["BUCKET"], Key="logs/x"),
        "put object": lambda: s3.put_object(Bucket=names["BUCKET"], Key="logs/x", Body=b"x"),
        "list buckets": lambda: s3.list_buckets(),
        "scan jobs": lambda: dynamo.scan(TableName=names["JOBS_TABLE"]),
        "read node": lambda: dynamo.get_item(TableName=names["NODES_TABLE"], Key={"pk": {"S": "x"}}),
        "write ledger": lambda: dynamo.put_item(
            TableName=names["LEDGER_TABLE"], Item={"customer_id": {"S": "x"}, "entry_id": {"S": "y"}}
        ),
        "read secret": lambda: controlled.client("secretsmanager").get_secret_value(SecretId=names["SIGNING_SECRET_ARN"]),
        "start execution": lambda: controlled.client("stepfunctions").start_execution(stateMachineArn=machine, input="{}"),
        "invoke": lambda: controlled.client("lambda").invoke(FunctionName="gpupool-close-job", Payload=b"{}"),
        "assume role": lambda: sts.assume_role(RoleArn=names["NODE_ROLE_ARN"], RoleSessionName="more"),
        "list users": lambda: controlled.client("iam").list_users(),
    }

    assert {name for name, action in actions.items() if not refused(action)} == set()


def test_device_key_opens_the_node_door_only(local_stack: LocalStack, community: Keys) -> None:
    url = f"{local_stack.api}/api/v1/customer/training-jobs"

    assert call("GET", url, headers={"Authorization": f"Bearer {community.device_key}"}).status == 401
    assert call("GET", url, headers={"X-API-Key": community.device_key}).status == 401
    wrong = community.device_key[:-1] + ("A" if community.device_key[-1] != "A" else "B")
    answer = ask_node(local_stack, "/credentials", {"capabilities": _STRONG}, device_key=wrong)
    assert (answer.status, answer.error["code"]) == (401, "NODE_AUTH_REQUIRED")
