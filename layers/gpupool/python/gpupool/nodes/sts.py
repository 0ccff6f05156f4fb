"""A node's keys from STS: the shared node role, narrowed to one node's own queues by a session policy."""

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gpupool.nodes.issuer import SESSION_SECONDS, NodeCredentials

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient


class StsIssuer:
    def __init__(self, client: "STSClient", *, role_arn: str, region: str) -> None:
        self._client = client
        self._role_arn = role_arn
        self._region = region

    def issue(self, node_id: str, queue_urls: tuple[str, ...]) -> NodeCredentials:
        answer = self._client.assume_role(
            RoleArn=self._role_arn,
            RoleSessionName=node_id,  # names the machine in CloudTrail
            DurationSeconds=SESSION_SECONDS,
            Policy=self._policy(queue_urls),
        )
        keys = answer["Credentials"]
        return NodeCredentials(
            access_key_id=keys["AccessKeyId"],
            secret_access_key=keys["SecretAccessKey"],
            session_token=keys["SessionToken"],
            expires_at=keys["Expiration"],
        )

    def _policy(self, queue_urls: tuple[str, ...]) -> str:
        partition = self._role_arn.split(":")[1]
        arns = [queue_arn(url, partition=partition, region=self._region) for url in queue_urls]
        statement = {"Effect": "Allow", "Action": ["sqs:ReceiveMessage"], "Resource": arns}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))


def queue_arn(queue_url: str, *, partition: str, region: str) -> str:
    """The ARN behind a queue URL, whose path ends in ``/<account>/<name>``."""
    account, name = urlsplit(queue_url).path.rstrip("/").split("/")[-2:]
    return f"arn:{partition}:sqs:{region}:{account}:{name}"
