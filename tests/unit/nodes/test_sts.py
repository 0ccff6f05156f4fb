"""What STS is asked for: the session may receive from the named queues and do nothing else."""

import json
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from gpupool.nodes.issuer import NodeCredentials
from gpupool.nodes.sts import StsIssuer, queue_arn
from tests.support.nodes import NODE_ID, START, URLS

ROLE = "arn:aws:iam::123456789012:role/gpupool-node"


def an_sts_client() -> Any:
    return boto3.client("sts", region_name="eu-central-1", aws_access_key_id="testing", aws_secret_access_key="testing")


def test_a_session_lasts_an_hour_bears_the_node_and_may_receive_from_its_queues_only() -> None:
    urls = (URLS.by_name["public-cpu"], URLS.by_name["public-gpu-8g"])
    arns = [f"arn:aws:sqs:eu-central-1:123456789012:gpupool-public-{capability}" for capability in ("cpu", "gpu-8g")]
    statement = {"Effect": "Allow", "Action": ["sqs:ReceiveMessage"], "Resource": arns}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))
    client = an_sts_client()
    keys = {"AccessKeyId": "A" * 16, "SecretAccessKey": "s", "SessionToken": "t", "Expiration": START}
    asked = {"RoleArn": ROLE, "RoleSessionName": NODE_ID, "DurationSeconds": 3600, "Policy": policy}
    with Stubber(client) as stub:
        stub.add_response("assume_role", {"Credentials": keys}, asked)
        issued = StsIssuer(client, role_arn=ROLE, region="eu-central-1").issue(NODE_ID, urls)

    assert issued == NodeCredentials("A" * 16, "s", "t", START)


def test_the_policy_of_a_node_that_serves_everything_fits_the_limit_of_sts() -> None:
    issuer = StsIssuer(an_sts_client(), role_arn=ROLE, region="eu-central-1")

    assert len(issuer._policy(tuple(URLS.by_name.values()))) < 2048


def test_keys_do_not_show_in_logs() -> None:
    with mock_aws():
        issued = StsIssuer(an_sts_client(), role_arn=ROLE, region="eu-central-1").issue(NODE_ID, (URLS.by_name["public-cpu"],))

    assert issued.secret_access_key not in repr(issued)
    assert issued.session_token not in repr(issued)


@pytest.mark.parametrize(
    ("url", "arn"),
    [
        ("https://sqs.us-east-1.amazonaws.com/123456789012/jobs", "arn:aws:sqs:us-east-1:123456789012:jobs"),
        ("http://127.0.0.1:4566/000000000000/jobs", "arn:aws:sqs:us-east-1:000000000000:jobs"),
        ("http://sqs.us-east-1.localhost:4566/queue/000000000000/jobs/", "arn:aws:sqs:us-east-1:000000000000:jobs"),
    ],
)
def test_a_queue_url_ends_in_account_and_name(url: str, arn: str) -> None:
    assert queue_arn(url, partition="aws", region="us-east-1") == arn
