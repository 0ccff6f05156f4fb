"""Who may do what, in full: a right that is not written here is not meant to exist."""

import pytest

from tests.infra.synthesised import Grants, Synthesised

NAMES = [f"{pool}-{kind}" for pool in ("public", "controlled") for kind in ("cpu", "gpu-8g", "gpu-16g", "gpu-24g", "gpu-80g")]
READ = {"dynamodb:GetItem", "dynamodb:Query"}
READ_WRITE = READ | {"dynamodb:PutItem", "dynamodb:UpdateItem"}
READ_WRITE_DELETE = READ_WRITE | {"dynamodb:DeleteItem"}
PUT = {"dynamodb:PutItem"}
TOGETHER = {"dynamodb:BatchGetItem"}
STREAM = {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"}
SEND_UNDELIVERED = {"Queue:gpupool-undelivered": {"sqs:SendMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"}}
CONSUME = {
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibility",
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
}
UPDATE = {"dynamodb:UpdateItem"}
EXECUTIONS = "arn:AWS::Partition:states:AWS::Region:AWS::AccountId:execution:gpupool-training-job:*"
MACHINE = "arn:AWS::Partition:states:AWS::Region:AWS::AccountId:stateMachine:gpupool-training-job"
# The only actions that are allowed on every resource; AWS offers no narrower form of them.
TRACE = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
LIST_STREAMS = {"dynamodb:ListStreams"}


def _on_job_queues(*actions: str) -> Grants:
    return {f"Queue:gpupool-{name}": set(actions) for name in NAMES}


EXPECTED: dict[str, Grants] = {
    "customer_api": {
        "*": TRACE,
        "Table:customers": READ_WRITE,
        "Table:keys": READ_WRITE_DELETE,
        "Table:keys/index/by_customer": {"dynamodb:Query"},
        "Table:uploads": READ_WRITE_DELETE | TOGETHER,
        "Table:jobs": READ_WRITE | TOGETHER,
        "Table:progress": TOGETHER | PUT,
        "Table:jobs/index/by_customer": {"dynamodb:Query"},
        "Table:jobs/index/by_customer_status": {"dynamodb:Query"},
        "Table:units": READ,
        "Table:ledger": READ_WRITE,
        "Table:ledger/index/by_time": {"dynamodb:Query"},
        "Table:idempotency": READ_WRITE | TOGETHER,
        "Table:limits": READ_WRITE | TOGETHER,
        "Table:webhooks": READ_WRITE_DELETE,
        "Table:deliveries": READ | PUT,
        "Table:deliveries/index/by_sequence": {"dynamodb:Query"},
        "Queue:gpupool-webhooks": {"sqs:SendMessage"},
        "Table:events": READ,
        "artifact bucket": {"s3:ListBucket"},
        "artifact bucket/customers/*": {
            "s3:GetObject",
            "s3:PutObject",
            "s3:DeleteObject",
            "s3:ListMultipartUploadParts",
            "s3:AbortMultipartUpload",
        },
        "artifact bucket/jobs/*": {"s3:GetObject"},
        "artifact bucket/logs/*": {"s3:GetObject"},
        "artifact bucket/exports/*": {"s3:GetObject", "s3:PutObject"},
        "signing secret": {"secretsmanager:GetSecretValue"},
    },
    "node_api": {
        "*": TRACE,
        "Table:nodes": READ_WRITE_DELETE,
        "Table:jobs": READ | TOGETHER,
        "Table:progress": TOGETHER,
        "Table:units": READ_WRITE,
        "artifact bucket": {"s3:ListBucket"},
        "artifact bucket/customers/*": {"s3:GetObject"},
        "artifact bucket/jobs/*": {"s3:GetObject", "s3:PutObject"},
        "artifact bucket/logs/*": {"s3:PutObject"},
        "node role": {"sts:AssumeRole"},
        **_on_job_queues("sqs:ChangeMessageVisibility", "sqs:DeleteMessage"),
    },
    "plan_job": {
        "*": TRACE,
        "Table:jobs": READ_WRITE | TOGETHER,
        "Table:progress": TOGETHER,
        "Table:units": READ_WRITE,
        "Table:gates": PUT,
        "Table:uploads": READ,
    },
    "tend_job": {
        "*": TRACE,
        "Table:jobs": READ_WRITE | TOGETHER,
        "Table:progress": TOGETHER | UPDATE,
        "Table:units": READ_WRITE,
        "Table:gates": {"dynamodb:UpdateItem"},
        "Table:ledger": READ_WRITE,
        MACHINE: {"states:StartExecution"},
    },
    "advance_job": {
        "*": TRACE,
        "Table:jobs": READ_WRITE | TOGETHER,
        "Table:progress": TOGETHER,
        MACHINE: {"states:SendTaskSuccess"},
    },
    "close_job": {
        "*": TRACE,
        "Table:jobs": READ_WRITE | TOGETHER,
        "Table:progress": TOGETHER | UPDATE,
        "Table:units": READ_WRITE,
        "Table:ledger": READ_WRITE,
        "Table:uploads": READ_WRITE,
        "Table:limits": {"dynamodb:UpdateItem"},
        MACHINE: {"states:StartExecution"},
        **SEND_UNDELIVERED,
    },
    "on_job_written": {
        "*": TRACE | LIST_STREAMS,
        "Table:jobs": READ | TOGETHER,
        "Table:progress": TOGETHER,
        "Table:jobs:stream": STREAM,
        "Table:ledger": READ,
        "Table:idempotency": READ | PUT,
        "Table:events": PUT,
        MACHINE: {"states:StartExecution", "states:SendTaskSuccess"},
        **SEND_UNDELIVERED,
    },
    "on_unit_written": {
        "*": TRACE | LIST_STREAMS,
        "Table:jobs": READ_WRITE | TOGETHER,
        "Table:progress": TOGETHER | UPDATE,
        "Table:units": READ_WRITE,
        "Table:units:stream": STREAM,
        "Table:gates": {"dynamodb:UpdateItem"},
        "Table:events": PUT,
        "Table:ledger": READ_WRITE,
        MACHINE: {"states:SendTaskSuccess"},
        **_on_job_queues("sqs:SendMessage"),
        **SEND_UNDELIVERED,
    },
    "on_event_written": {
        "*": TRACE | LIST_STREAMS,
        "Table:events:stream": STREAM,
        "Table:webhooks": READ | {"dynamodb:UpdateItem"},
        "Table:deliveries": READ | PUT,
        "Queue:gpupool-webhooks": {"sqs:SendMessage"},
        **SEND_UNDELIVERED,
    },
    "deliver_webhook": {
        "*": TRACE,
        "Table:webhooks": READ | {"dynamodb:UpdateItem"},
        "Table:deliveries": READ | PUT,
        "Queue:gpupool-webhooks": CONSUME | {"sqs:SendMessage"},
    },
    "sweep_webhooks": {
        "*": TRACE,
        "Table:deliveries/index/by_due": {"dynamodb:Query"},
        "Queue:gpupool-webhooks": {"sqs:SendMessage"},
    },
    "reconcile": {
        "*": TRACE,
        "Table:jobs": READ_WRITE | TOGETHER,
        "Table:progress": TOGETHER | UPDATE,
        "Table:jobs/index/by_watch": {"dynamodb:Query"},
        "Table:units": READ_WRITE,
        "Table:ledger": READ_WRITE,
        "Table:gates": UPDATE,
        "Table:limits": READ,
        "Table:events": READ | PUT,
        "Table:webhooks": READ | UPDATE,
        "Table:deliveries": READ | PUT,
        "Queue:gpupool-webhooks": {"sqs:SendMessage"},
        MACHINE: {"states:StartExecution", "states:SendTaskSuccess"},
        EXECUTIONS: {"states:DescribeExecution"},
        **_on_job_queues("sqs:GetQueueAttributes"),
        **{f"Queue:gpupool-{name}-dlq": {"sqs:GetQueueAttributes"} for name in NAMES},
    },
    "on_dead_letter": {
        "*": TRACE,
        "Table:jobs": TOGETHER,
        "Table:progress": TOGETHER,
        "Table:units": READ_WRITE,
        **_on_job_queues("sqs:SendMessage"),
        **{f"Queue:gpupool-{name}-dlq": CONSUME for name in NAMES},
    },
}


@pytest.mark.parametrize("room", EXPECTED)
def test_a_function_may_do_this_and_nothing_else(prod: Synthesised, room: str) -> None:
    own_log = f"LogGroup:/aws/lambda/gpupool-{room.replace('_', '-')}"
    assert _readable(prod, prod.grants(room)) == EXPECTED[room] | {own_log: {"logs:CreateLogStream", "logs:PutLogEvents"}}


def test_every_function_is_listed(prod: Synthesised) -> None:
    assert set(EXPECTED) == set(prod.functions)


def test_no_policy_allows_a_wildcard_action(prod: Synthesised) -> None:
    for policy in prod.properties("AWS::IAM::Policy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            assert not any("*" in action for action in actions)


def test_no_role_has_a_managed_policy(prod: Synthesised) -> None:
    assert not any(role.get("ManagedPolicyArns") for role in prod.properties("AWS::IAM::Role").values())


def test_the_state_machine_calls_its_steps_only(prod: Synthesised) -> None:
    grants = prod.grants_of_role(prod.machine["RoleArn"]["Fn::GetAtt"][0])
    everywhere = grants.pop("*")
    steps = ("plan-job", "tend-job", "advance-job", "close-job")
    assert grants == {f"Function:gpupool-{step}": {"lambda:InvokeFunction"} for step in steps}
    assert {action.split(":")[0] for action in everywhere} == {"logs", "xray"}


def test_a_home_machine_may_receive_and_never_delete(prod: Synthesised) -> None:
    grants = prod.grants_of_role(_node_role(prod))
    assert grants == {f"Queue:gpupool-{name}": {"sqs:ReceiveMessage"} for name in NAMES}


def test_only_the_node_door_may_act_as_a_home_machine(prod: Synthesised) -> None:
    role = prod.properties("AWS::IAM::Role")[_node_role(prod)]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"AWS": prod.functions["node_api"]["Role"]}
    assert statement["Action"] == "sts:AssumeRole"


def _node_role(stage: Synthesised) -> str:
    arn = stage.functions["node_api"]["Environment"]["Variables"]["NODE_ROLE_ARN"]
    return str(arn["Fn::GetAtt"][0])


def _readable(stage: Synthesised, grants: Grants) -> Grants:
    """Generated names replaced by what they are."""
    variables = stage.environment("customer_api") | stage.environment("node_api")
    names = {
        variables["BUCKET"]: "artifact bucket",
        variables["SIGNING_SECRET_ARN"]: "signing secret",
        variables["NODE_ROLE_ARN"]: "node role",
    }
    found: Grants = {}
    for resource, actions in grants.items():
        base, slash, rest = resource.partition("/")
        found[names.get(base, base) + slash + rest] = actions
    return found
