"""A deployment in moto: tables, queues, the bucket, and the environment that tells the functions about them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from moto import mock_aws

from gpupool import aws, bootstrap
from gpupool.settings import settings
from gpupool.units.model import Pool
from gpupool.wire.vocabulary import CapabilityClass
from tests.support.haste import make_haste, place_tables
from tests.support.tables import TABLES

REGION = "us-east-1"
BUCKET = "gpupool-bucket"

_CACHED = (
    settings,
    bootstrap.ports,
    bootstrap.customer_core,
    bootstrap.node_core,
    bootstrap.workflow,
    bootstrap.outbox,
    bootstrap.dead_letters,
    bootstrap.fan_out,
    bootstrap.deliverer,
    bootstrap.sweep,
    bootstrap.recovery,
)


@contextmanager
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Inside, ``gpupool.bootstrap`` builds the real adapters against an empty deployment.

    Clients that are there are used: to them, one deployment in moto is like the next.
    """
    for name, value in _credentials().items():
        monkeypatch.setenv(name, value)
    make_haste(monkeypatch)
    with mock_aws():
        _forget_cores()
        place_tables(aws.dynamodb())
        aws.s3().create_bucket(Bucket=BUCKET)
        for name, value in _environment(_queues()).items():
            monkeypatch.setenv(name, value)
        yield
        _forget_cores()


def _credentials() -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": REGION}


def _queues() -> dict[str, str]:
    names = [f"{pool}-{capability}" for pool in Pool for capability in CapabilityClass]
    visibility: Any = {"VisibilityTimeout": "30"}
    return {name: aws.sqs().create_queue(QueueName=f"gpupool-{name}", Attributes=visibility)["QueueUrl"] for name in names}


def _environment(queue_urls: dict[str, str]) -> dict[str, str]:
    return {f"{name.upper()}_TABLE": name for name in TABLES} | {
        "STAGE": "test",
        "BUCKET": BUCKET,
        "QUEUE_URLS": json.dumps(queue_urls),
        "WEBHOOK_QUEUE_URL": aws.sqs().create_queue(QueueName="gpupool-webhooks")["QueueUrl"],
        "NODE_ROLE_ARN": "arn:aws:iam::123456789012:role/gpupool-node",
    }


def forget() -> None:
    """Drops clients and cores, so that the next ones are made for the environment of then."""
    aws.reset()
    _forget_cores()


def _forget_cores() -> None:
    for accessor in _CACHED:
        accessor.cache_clear()
