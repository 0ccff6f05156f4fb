"""Signatures, checked by the library that receivers use."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from gpupool.webhooks.decide import rotated
from gpupool.webhooks.model import Endpoint
from gpupool.webhooks.signature import new_secret, signed_headers

BODY = '{"type":"job.completed"}'


def an_endpoint(now: datetime) -> Endpoint:
    return Endpoint("w", "ada", "https://a.example/", frozenset(), "", new_secret(b"a" * 32), now, now)


def test_a_receiver_takes_what_was_signed_and_nothing_else() -> None:
    now = datetime.now(UTC)
    endpoint = an_endpoint(now)
    headers = signed_headers(endpoint.secrets_at(now), message_id="msg_1", at=now, body=BODY)
    receiver = Webhook(endpoint.secret)

    assert receiver.verify(BODY, headers) == json.loads(BODY)
    with pytest.raises(WebhookVerificationError):
        receiver.verify(BODY + " ", headers)
    with pytest.raises(WebhookVerificationError):
        receiver.verify(BODY, headers | {"webhook-id": "msg_2"})


def test_both_secrets_sign_until_the_old_one_expires() -> None:
    now = datetime.now(UTC)
    old = an_endpoint(now - timedelta(hours=25))
    for rotated_at, old_is_taken in ((now - timedelta(hours=23), True), (now - timedelta(hours=24), False)):
        endpoint = rotated(old, new_secret(b"b" * 32), rotation_id="r", now=rotated_at)
        headers = signed_headers(endpoint.secrets_at(now), message_id="msg_1", at=now, body=BODY)
        Webhook(endpoint.secret).verify(BODY, headers)
        if old_is_taken:
            Webhook(old.secret).verify(BODY, headers)
        else:
            with pytest.raises(WebhookVerificationError):
                Webhook(old.secret).verify(BODY, headers)


def test_secrets_are_in_no_representation() -> None:
    endpoint = an_endpoint(datetime.now(UTC))
    assert endpoint.secret not in repr(rotated(endpoint, new_secret(b"b" * 32), rotation_id="r", now=endpoint.created_at))
