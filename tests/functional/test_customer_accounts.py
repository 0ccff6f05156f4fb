"""Accounts from the operator's command to the customer's last session, with API Gateway's events, on the real adapters."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from functions.customer_api.handler import handler
from gpupool import aws, bootstrap
from gpupool.admin import main
from tests.support.deployment import deployed
from tests.support.events import Answer, invoke, load_event

EMAIL, PASSWORD, NEW = "customer@example.com", "correct horse", "battery staple"


@pytest.fixture(autouse=True)
def _deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with deployed(monkeypatch):
        secret = aws.secretsmanager().create_secret(Name="signing", SecretString="a secret of sixty-four characters")
        monkeypatch.setenv("SIGNING_SECRET_ARN", secret["ARN"])
        yield


def operator(*arguments: str) -> dict[str, Any]:
    status, answer = main(arguments, ports=bootstrap.ports, stdin=io.StringIO())
    assert status == 0, answer
    return answer


def send(case: str, *, bearer: str | None = None, cookie: str | None = None, once: str | None = None, **body: Any) -> Answer:
    """The event of ``case``, its body changed where named, as the holder of a session."""
    event = load_event(f"customer_api.{case}")
    if body:
        event["body"] = json.dumps(json.loads(event["body"]) | body)
    if bearer is not None:
        event["headers"]["authorization"] = f"Bearer {bearer}"
    if cookie is not None:
        event["cookies"][1] = f"gpu_agent_session={cookie}"
    if once is not None:
        event["headers"]["idempotency-key"] = once
    return invoke(handler, event)


def is_signed_in(token: str) -> bool:
    return send("me_by_cookie", cookie=token).status == 200


def rows_of(table: str) -> str:
    return str(aws.dynamodb().scan(TableName=table)["Items"])


def test_an_invited_customer_opens_the_account_once_and_finds_its_credits(capsys: pytest.CaptureFixture[str]) -> None:
    invited = operator("customer", "--email", EMAIL, "--credits", "100")
    assert len(invited["token"]) == len("inv_") + 64
    assert invited["token"] not in rows_of("keys")
    assert send("accept_invitation").code == "INVITATION_INVALID"

    accepted = send("accept_invitation", token=invited["token"])
    assert (accepted.status, accepted.body["customer"]["email"], accepted.body["customer"]["name"]) == (201, EMAIL, "Ada")
    (cookie,) = accepted.cookies
    assert {"HttpOnly", "Secure", "SameSite=lax"} <= set(cookie.split("; "))
    token = accepted.body["session_token"]
    assert is_signed_in(token)
    assert send("login").status == 200
    assert bootstrap.customer_core().credits.balance(accepted.body["customer"]["id"]).available == 100
    assert send("accept_invitation", token=invited["token"]).code == "INVITATION_INVALID"
    assert not {secret for secret in (invited["token"], token, PASSWORD) if secret in capsys.readouterr().out}


def test_a_new_password_leaves_the_session_that_chose_it() -> None:
    operator("customer", "--email", EMAIL, "--password", PASSWORD)
    mine, other = (send("login").body["session_token"] for _ in range(2))
    assert send("change_password", cookie=mine, current_password="wrong").code == "PASSWORD_WRONG"
    assert send("change_password", cookie=mine).status == 204
    assert (is_signed_in(mine), is_signed_in(other)) == (True, False)
    assert send("login").code == "LOGIN_FAILED"
    assert send("login", password=NEW).status == 200


def test_an_operator_resets_a_password() -> None:
    operator("customer", "--email", EMAIL, "--password", PASSWORD)
    before = send("login").body["session_token"]
    reset = operator("reset-password", "--email", EMAIL)
    assert reset["token"] not in rows_of("keys") + rows_of("customers")
    assert not is_signed_in(before)
    assert send("login").code == "LOGIN_FAILED"

    answer = send("reset_password", token=reset["token"])
    assert (answer.status, answer.body["customer"]["id"]) == (200, reset["customer_id"])
    assert is_signed_in(answer.body["session_token"])
    assert send("reset_password", token=reset["token"]).code == "RESET_TOKEN_INVALID"
    assert send("login", password=NEW).status == 200


def test_a_repeated_key_request_makes_one_key_and_stores_no_plaintext() -> None:
    operator("customer", "--email", EMAIL, "--password", PASSWORD)
    token = send("login").body["session_token"]
    first, again = (send("create_api_key", bearer=token, once="client-uuid-12345678") for _ in range(2))
    assert (first.status, again.status, again.headers["idempotent-replayed"]) == (201, 201, "true")
    assert again.body == first.body
    assert len(first.body["key"]) == 33
    assert first.body["key"] not in rows_of("keys") + rows_of("idempotency")
    assert bootstrap.customer_core().accounts.by_api_key(first.body["key"]).key_id == first.body["id"]
