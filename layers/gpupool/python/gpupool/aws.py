"""AWS clients: made once, lazily, with one policy for timeouts and retries.

Retries live here and nowhere above: botocore's standard mode, three tries, full jitter. A client is created on first use
because each costs 10-120 ms and no function needs them all. The endpoint comes from the standard AWS_ENDPOINT_URL variables.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_sts import STSClient


@cache
def _session() -> Any:
    import boto3

    return boto3.session.Session()


@cache
def _client(service: str) -> Any:
    from botocore.config import Config

    config = Config(
        connect_timeout=2,
        read_timeout=10,
        retries={"mode": "standard", "total_max_attempts": 3},
        # Without it presigned URLs fall back to SigV2, which enforces neither length nor checksum.
        signature_version="s3v4" if service == "s3" else "v4",
        s3={"addressing_style": "path"} if service == "s3" else None,
        user_agent_extra="gpupool",
    )
    return _session().client(service, config=config)


def dynamodb() -> "DynamoDBClient":
    return _client("dynamodb")  # type: ignore[no-any-return]


def s3() -> "S3Client":
    return _client("s3")  # type: ignore[no-any-return]


def sqs() -> "SQSClient":
    return _client("sqs")  # type: ignore[no-any-return]


def stepfunctions() -> "SFNClient":
    return _client("stepfunctions")  # type: ignore[no-any-return]


def sts() -> "STSClient":
    return _client("sts")  # type: ignore[no-any-return]


def secretsmanager() -> "SecretsManagerClient":
    return _client("secretsmanager")  # type: ignore[no-any-return]


def region() -> str:
    """The region the clients talk to."""
    return str(_session().region_name or "us-east-1")


def reset() -> None:
    """Forgets every client; tests call it between emulated accounts."""
    _client.cache_clear()
    _session.cache_clear()
