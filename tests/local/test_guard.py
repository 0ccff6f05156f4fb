"""Web pages and strangers' keys against the emulator."""

import http.client
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.deploy import Account
from local.emulator.guard import refusal
from tests.local.workshop import Workshop

OWN = {"host": "127.0.0.1:4566"}
PAGE = {**OWN, "origin": "https://evil.example"}


def _refused(headers: dict[str, str], *, path: str = "/", query: str = "", method: str = "POST") -> bool:
    return refusal(method=method, path=path, query=query, headers=headers) is not None


@pytest.mark.parametrize("host", ["127.0.0.1:4566", "localhost:4566", "localhost", "[::1]:4566", "bucket.localhost:4566"])
def test_programs_on_loopback_names_are_served(host: str) -> None:
    assert not _refused({"host": host})


@pytest.mark.parametrize("host", ["evil.example:4566", "", "localhost.evil.example", "192.168.1.7:4566"])
def test_other_names_are_refused(host: str) -> None:
    assert _refused({"host": host})


def test_pages_are_kept_from_the_control_planes() -> None:
    assert _refused(PAGE)
    assert _refused({**OWN, "sec-fetch-site": "cross-site"}, method="GET", query="Action=CreateUser&X-Amz-Signature=0")
    assert not _refused({**OWN, "sec-fetch-site": "none"}, method="GET")


def test_pages_may_use_the_api_and_presigned_urls() -> None:
    assert not _refused(PAGE, path="/_aws/execute-api/gpupool/api/v1/customer/auth/me")
    assert not _refused(PAGE, path="/bucket/key", query="X-Amz-Signature=abc", method="PUT")
    assert not _refused(PAGE, path="/bucket/key", method="OPTIONS")


@pytest.mark.stack
def test_page_is_refused_by_the_running_emulator(workshop: Workshop) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", workshop.emulator.running.port, timeout=5)
    target = {"X-Amz-Target": "DynamoDB_20120810.ListTables", "Origin": "https://evil.example"}

    connection.request("POST", "/", body="{}", headers=target)
    status = connection.getresponse().status
    connection.close()

    assert status == http.HTTPStatus.FORBIDDEN


@pytest.mark.stack
@pytest.mark.parametrize("key", ["test", "000000000000", "AKIAUNKNOWN000000000"])
@pytest.mark.parametrize(("service", "call"), [("dynamodb", "list_tables"), ("s3", "list_buckets"), ("iam", "list_users")])
def test_key_that_was_never_issued_is_refused(workshop: Workshop, key: str, service: str, call: str) -> None:
    stranger = Account(endpoint=workshop.emulator.running.endpoint, access_key_id=key, secret_access_key="test")

    with pytest.raises(ClientError) as refused:
        getattr(stranger.client(service), call)()

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] in {400, 403}


@pytest.mark.stack
def test_root_key_with_a_wrong_secret_is_refused(workshop: Workshop) -> None:
    root = workshop.emulator.root
    forged: Any = Account(endpoint=root.endpoint, access_key_id=root.access_key_id, secret_access_key="guess")

    with pytest.raises(ClientError, match="signature"):
        forged.client("dynamodb").list_tables()


@pytest.mark.stack
def test_user_may_do_only_what_its_policies_allow(workshop: Workshop) -> None:
    iam = workshop.client("iam")
    iam.create_user(UserName="reader")
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    reader = Account(
        endpoint=workshop.emulator.running.endpoint,
        access_key_id=key["AccessKeyId"],
        secret_access_key=key["SecretAccessKey"],
    )

    with pytest.raises(ClientError, match="AccessDenied"):
        reader.client("dynamodb").list_tables()
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "dynamodb:List*", "Resource": "*"}]}
    iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=json.dumps(allow))

    assert reader.client("dynamodb").list_tables()["TableNames"] == []
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.client("sqs").list_queues()
