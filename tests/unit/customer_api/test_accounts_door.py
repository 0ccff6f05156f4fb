"""Opening accounts, choosing passwords and making keys at the customer door."""

import json
from dataclasses import replace

import pytest
from starlette.requests import Request

from functions.customer_api.deps import COOKIE
from functions.customer_api.origin import check_origin
from gpupool.errors import Forbidden
from tests.support.customer_door import PASSWORD, Door, Visitor

KEY = {"name": "laptop", "scopes": ["dataset:write"]}
ONCE = {"idempotency-key": "client-uuid-12345678"}
PORTAL = "https://portal.example"


@pytest.fixture
def door() -> Door:
    return Door()


def an_invitation(door: Door, email: str = "ada@example.com") -> str:
    return door.core.tickets.invite(email=email, name="Ada", credits=100).token


def test_an_invited_customer_is_signed_in_with_credits(door: Door) -> None:
    answer = door.stranger().post("/auth/accept-invitation", {"token": an_invitation(door), "password": PASSWORD})
    body = answer.json()
    assert answer.status_code == 201
    assert (body["customer"]["email"], body["customer"]["name"]) == ("ada@example.com", "Ada")
    assert answer.headers["set-cookie"].startswith(f"gpu_agent_session={body['session_token']};")
    bearer = {"authorization": f"Bearer {body['session_token']}"}
    assert door.stranger().get("/auth/me", headers=bearer).json() == body["customer"]
    assert door.core.credits.balance(body["customer"]["id"]).available == 100


def test_an_invitation_is_good_once_and_for_a_free_address(door: Door) -> None:
    token, late = an_invitation(door), an_invitation(door)
    accept = {"token": token, "password": PASSWORD, "name": "Countess"}
    assert door.stranger().post("/auth/accept-invitation", accept).json()["customer"]["name"] == "Countess"
    again = door.stranger().post("/auth/accept-invitation", accept)
    assert (again.status_code, again.json()["error"]["code"]) == (400, "INVITATION_INVALID")
    taken = door.stranger().post("/auth/accept-invitation", accept | {"token": late})
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, "EMAIL_TAKEN")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"password": "short"}, "/password"),
        ({"password": "x" * 1025}, "/password"),
        ({"password": "ADA@example.com"}, "/password"),
        ({"password": "\ud800 a lone surrogate"}, "/password"),
        ({"token": ""}, "/token"),
        ({"token": "\ud800"}, "/token"),
        ({"name": " x"}, "/name"),
        ({"credits": 5}, "/credits"),
    ],
)
def test_what_accepts_an_invitation_is_checked_field_by_field(door: Door, changes: dict[str, object], field: str) -> None:
    # Escaped by hand: the client's own encoder has no form for half a character.
    body = json.dumps({"token": an_invitation(door), "password": PASSWORD} | changes)
    headers = {"content-type": "application/json"}
    answer = door.stranger().post("/auth/accept-invitation", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["details"]["field"]) == (400, field)


def test_a_changed_password_ends_the_other_sessions(door: Door) -> None:
    ada = door.customer()
    other = door.stranger().post("/auth/login", {"email": "ada@example.com", "password": PASSWORD}).json()["session_token"]
    answer = ada.post("/auth/change-password", {"current_password": PASSWORD, "new_password": "battery staple"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert ada.get("/auth/me").status_code == 200
    ended = door.stranger().get("/auth/me", headers={"authorization": f"Bearer {other}"})
    assert (ended.status_code, ended.json()["error"]["code"]) == (401, "CUSTOMER_AUTH_REQUIRED")
    login = door.stranger().post("/auth/login", {"email": "ada@example.com", "password": "battery staple"})
    assert login.status_code == 200


@pytest.mark.parametrize(
    ("current", "new", "code", "field"),
    [
        ("wrong", "battery staple", "PASSWORD_WRONG", "/current_password"),
        (PASSWORD, "short", "VALIDATION_FAILED", "/new_password"),
        (PASSWORD, "ada@example.com", "VALIDATION_FAILED", "/new_password"),
    ],
)
def test_a_refused_change_says_which_field_and_keeps_the_password(
    door: Door, current: str, new: str, code: str, field: str
) -> None:
    answer = door.customer().post("/auth/change-password", {"current_password": current, "new_password": new})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["details"]["field"]) == (400, code, field)
    assert door.core.accounts.login(email="ada@example.com", password=PASSWORD)


def test_a_reset_token_sets_the_password_and_signs_in_once(door: Door) -> None:
    ada = door.customer()
    token = door.core.tickets.lock_out("ada@example.com").token
    assert ada.get("/auth/me").status_code == 401
    reset = {"token": token, "new_password": "battery staple"}
    answer = door.stranger().post("/auth/reset-password", reset)
    assert (answer.status_code, answer.json()["customer"]["id"]) == (200, ada.id)
    assert answer.headers["set-cookie"].startswith(f"gpu_agent_session={answer.json()['session_token']};")
    again = door.stranger().post("/auth/reset-password", reset)
    assert (again.status_code, again.json()["error"]["code"]) == (400, "RESET_TOKEN_INVALID")


def test_a_repeated_key_request_answers_the_same_plaintext(door: Door) -> None:
    ada = door.customer()
    first, again = (ada.post("/api-keys", KEY, headers=ONCE) for _ in range(2))
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert [key["id"] for key in ada.get("/api-keys").json()["data"]] == [first.json()["id"]]
    assert door.stranger().get("/datasets", headers={"x-api-key": again.json()["key"]}).status_code == 200

    conflict = ada.post("/api-keys", KEY | {"name": "desktop"}, headers=ONCE)
    assert (conflict.status_code, conflict.json()["error"]["code"]) == (409, "IDEMPOTENCY_CONFLICT")
    malformed = ada.post("/api-keys", KEY, headers={"idempotency-key": "short"})
    assert (malformed.status_code, malformed.json()["error"]["code"]) == (400, "IDEMPOTENCY_KEY_INVALID")


def test_one_key_is_read_by_its_owner_alone(door: Door) -> None:
    ada, bob = door.customer(), door.customer("bob@example.com")
    made = ada.post("/api-keys", KEY).json()
    assert ada.get(f"/api-keys/{made['id']}").json() == {name: value for name, value in made.items() if name != "key"}
    answers = [bob.get(f"/api-keys/{made['id']}"), ada.get("/api-keys/key_ffffffff")]
    assert [(answer.status_code, answer.json()["error"]["code"]) for answer in answers] == [(404, "API_KEY_NOT_FOUND")] * 2


def test_an_expired_key_is_invalid(door: Door) -> None:
    made = door.customer().post("/api-keys", KEY | {"expires_at": "2026-01-01T01:00:00Z"}).json()
    headers = {"x-api-key": made["key"]}
    assert door.stranger().get("/datasets", headers=headers).status_code == 200
    door.ports.clock.advance(3600)  # type: ignore[attr-defined]
    answer = door.stranger().get("/datasets", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "API_KEY_INVALID")


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"])
def test_an_expiry_that_utc_does_not_have_is_refused_and_makes_no_key(door: Door, moment: str) -> None:
    ada = door.customer()
    answer = ada.post("/api-keys", KEY | {"expires_at": moment})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["details"]["field"]) == (400, "VALIDATION_FAILED", "/expires_at")
    assert ada.get("/api-keys").json()["data"] == []


def test_an_expiry_is_one_moment_however_it_is_written(door: Door) -> None:
    ada = door.customer()
    spellings = ("9999-12-31T23:59:59Z", "9999-12-31T13:59:59-10:00")
    first, again = (ada.post("/api-keys", KEY | {"expires_at": spelling}, headers=ONCE) for spelling in spellings)
    assert first.json()["expires_at"] == "9999-12-31T23:59:59.000Z"
    assert again.json() == first.json()


def sent(method: str = "POST", **headers: str) -> Request:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": method, "path": "/", "headers": named})


COOKIES = f"theme=dark; {COOKIE}=gas_0"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "https://other.portal.example", "http://portal.example", "null", ""]
)
def test_a_page_of_another_origin_changes_nothing_with_the_cookie(method: str, origin: str) -> None:
    with pytest.raises(Forbidden) as caught:
        check_origin(sent(method, origin=origin, cookie=COOKIES), cookie=COOKIE, portal_origin=PORTAL)
    assert (caught.value.status, caught.value.code) == (403, "ORIGIN_DENIED")


@pytest.mark.parametrize(
    "request_",
    [
        sent(origin=PORTAL, cookie=COOKIES),
        sent(cookie=COOKIES),
        sent("GET", origin="https://evil.example", cookie=COOKIES),
        sent("OPTIONS", origin="https://evil.example", cookie=COOKIES),
        sent(origin="https://evil.example", cookie=COOKIES, authorization="Bearer gas_0"),
        sent(origin="https://evil.example", cookie=COOKIES, x_api_key="sk_alpha_0"),
        sent(origin="https://evil.example", cookie="theme=dark"),
        sent(origin="https://evil.example"),
    ],
)
def test_the_portal_programs_and_reads_are_let_through(request_: Request) -> None:
    check_origin(request_, cookie=COOKIE, portal_origin=PORTAL)


def test_where_no_portal_is_known_no_origin_is_refused() -> None:
    check_origin(sent(origin="https://evil.example", cookie=COOKIES), cookie=COOKIE, portal_origin="")


def test_the_door_asks_where_a_cookie_comes_from() -> None:
    door = Door()
    door.core = replace(door.core, portal_origin=PORTAL)
    door.customer()
    token = door.core.accounts.login(email="ada@example.com", password=PASSWORD).token
    browser = Visitor(door, "", {"cookie": f"{COOKIE}={token}"})
    wish = {"name": "k", "scopes": ["usage:read"]}

    denied = browser.post("/api-keys", wish, headers={"origin": "https://evil.example"})

    assert (denied.status_code, denied.json()["error"]["code"]) == (403, "ORIGIN_DENIED")
    assert browser.post("/api-keys", wish, headers={"origin": PORTAL}).status_code == 201
