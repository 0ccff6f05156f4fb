"""Who may do what at the customer door."""

import pytest

from gpupool.accounts.model import Scope
from tests.support.customer_door import PASSWORD, SEED_SCOPES, Door


@pytest.fixture
def door() -> Door:
    return Door()


def test_signing_in_yields_a_token_and_a_cookie_that_scripts_cannot_read(door: Door) -> None:
    ada = door.customer()
    answer = door.stranger().post("/auth/login", {"email": "ADA@example.com", "password": PASSWORD})
    body = answer.json()
    assert body["session_token"].startswith("gas_")
    assert body["customer"]["id"] == ada.id
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"gpu_agent_session={body['session_token']};")
    assert {"HttpOnly", "Secure", "SameSite=lax", "Max-Age=43200", "Path=/"} <= set(cookie.split("; "))


def test_a_wrong_password_answers_like_an_unknown_address(door: Door) -> None:
    door.customer()
    answers = [
        door.stranger().post("/auth/login", {"email": email, "password": "wrong password"})
        for email in ("ada@example.com", "bob@example.com")
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].json()["error"]["code"] == answers[1].json()["error"]["code"] == "LOGIN_FAILED"
    assert answers[0].json()["error"]["message"] == answers[1].json()["error"]["message"]


def test_the_session_works_as_bearer_and_as_cookie(door: Door) -> None:
    ada = door.customer()
    token = ada.headers["authorization"].removeprefix("Bearer ")
    assert ada.get("/auth/me").json()["email"] == "ada@example.com"
    by_cookie = door.stranger().get("/auth/me", headers={"cookie": f"gpu_agent_session={token}"})
    assert by_cookie.json()["id"] == ada.id


def test_signing_out_ends_the_session(door: Door) -> None:
    ada = door.customer()
    answer = ada.post("/auth/logout")
    assert answer.status_code == 204
    assert {'gpu_agent_session=""', "Max-Age=0", "Path=/", "Secure"} <= set(answer.headers["set-cookie"].split("; "))
    assert ada.get("/auth/me").json()["error"]["code"] == "CUSTOMER_AUTH_REQUIRED"


def test_a_key_is_shown_once_and_then_only_by_its_prefix(door: Door) -> None:
    ada = door.customer()
    made = ada.post("/api-keys", {"name": "laptop", "scopes": ["dataset:write", "training:write"]}).json()
    listed = ada.get("/api-keys").json()
    assert made["key"].startswith(made["prefix"])
    assert listed["data"] == [{name: value for name, value in made.items() if name != "key"}]
    assert made["key"] not in str(listed)


def test_a_revoked_key_is_refused_from_then_on(door: Door) -> None:
    ada = door.customer()
    made = ada.post("/api-keys", {"name": "laptop", "scopes": ["dataset:write"]}).json()
    headers = {"x-api-key": made["key"]}
    assert door.stranger().get("/datasets", headers=headers).status_code == 200
    assert ada.delete(f"/api-keys/{made['id']}").status_code == 204
    answer = door.stranger().get("/datasets", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "API_KEY_REVOKED")
    assert ada.get("/api-keys").json()["data"][0]["revoked_at"] is not None


def test_nobody_lists_or_revokes_anothers_key(door: Door) -> None:
    ada, bob = door.customer(), door.customer("bob@example.com")
    made = ada.post("/api-keys", {"name": "laptop", "scopes": ["dataset:write"]}).json()
    assert bob.get("/api-keys").json()["data"] == []
    answer = bob.delete(f"/api-keys/{made['id']}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "API_KEY_NOT_FOUND")
    assert door.stranger().get("/datasets", headers={"x-api-key": made["key"]}).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": ["dataset:write"]}, "/name"),
        ({"name": "k", "scopes": []}, "/scopes"),
        ({"name": "k", "scopes": ["image_generation:write"]}, "/scopes/0"),
        ({"name": "k", "scopes": ["dataset:write"], "expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"name": "k", "scopes": ["dataset:write"], "expires_at": "2030-01-01T00:00:00"}, "/expires_at"),
        ({"name": "k", "scopes": ["dataset:write"], "admin": True}, "/admin"),
        ({"name": " k", "scopes": ["dataset:write"]}, "/name"),
        ({"name": "a\tb", "scopes": ["dataset:write"]}, "/name"),
    ],
)
def test_a_key_request_is_checked_field_by_field(door: Door, body: dict[str, object], field: str) -> None:
    answer = door.customer().post("/api-keys", body)
    assert answer.status_code == 400
    assert answer.json()["error"]["details"]["field"] == field


SESSION_ONLY = [
    ("GET", "/auth/me"),
    ("POST", "/auth/logout"),
    ("POST", "/auth/change-password"),
    ("POST", "/api-keys"),
    ("GET", "/api-keys"),
    ("GET", "/api-keys/k"),
    ("DELETE", "/api-keys/k"),
]
BY_SCOPE = [
    ("POST", "/datasets", Scope.DATASET_WRITE),
    ("POST", "/datasets/x/parts", Scope.DATASET_WRITE),
    ("GET", "/datasets/x/parts", Scope.DATASET_READ),
    ("POST", "/datasets/x/finalize", Scope.DATASET_WRITE),
    ("GET", "/datasets", Scope.DATASET_READ),
    ("GET", "/datasets/x", Scope.DATASET_READ),
    ("DELETE", "/datasets/x", Scope.DATASET_WRITE),
    ("POST", "/training-packages", Scope.TRAINING_WRITE),
    ("POST", "/training-packages/x/finalize", Scope.TRAINING_WRITE),
    ("GET", "/training-packages", Scope.TRAINING_READ),
    ("GET", "/training-packages/x", Scope.TRAINING_READ),
    ("DELETE", "/training-packages/x", Scope.TRAINING_WRITE),
    ("POST", "/training-jobs", Scope.TRAINING_WRITE),
    ("POST", "/training-jobs/quote", Scope.TRAINING_READ),
    ("GET", "/training-jobs", Scope.TRAINING_READ),
    ("GET", "/training-jobs/x", Scope.TRAINING_READ),
    ("POST", "/training-jobs/x/cancel", Scope.TRAINING_WRITE),
    ("GET", "/training-jobs/x/compute-units", Scope.TRAINING_READ),
    ("GET", "/training-jobs/x/events", Scope.TRAINING_READ),
    ("GET", "/training-jobs/x/logs", Scope.TRAINING_READ),
    ("GET", "/training-jobs/x/artifacts", Scope.ARTIFACT_READ),
    ("POST", "/training-jobs/x/artifacts/y/download-url", Scope.ARTIFACT_READ),
    ("GET", "/usage/summary", Scope.USAGE_READ),
    ("POST", "/webhooks", Scope.WEBHOOK_WRITE),
    ("GET", "/webhooks", Scope.WEBHOOK_WRITE),
    ("GET", "/webhooks/x", Scope.WEBHOOK_WRITE),
    ("PATCH", "/webhooks/x", Scope.WEBHOOK_WRITE),
    ("DELETE", "/webhooks/x", Scope.WEBHOOK_WRITE),
    ("POST", "/webhooks/x/rotate-secret", Scope.WEBHOOK_WRITE),
    ("POST", "/webhooks/x/test", Scope.WEBHOOK_WRITE),
    ("GET", "/webhooks/x/deliveries", Scope.WEBHOOK_WRITE),
    ("GET", "/webhooks/x/deliveries/y", Scope.WEBHOOK_WRITE),
    ("POST", "/webhooks/x/deliveries/y/replay", Scope.WEBHOOK_WRITE),
    ("GET", "/usage/daily", Scope.USAGE_READ),
    ("GET", "/usage/export.csv", Scope.USAGE_READ),
    ("GET", "/credits/ledger", Scope.USAGE_READ),
    ("GET", "/credits/statement.csv", Scope.USAGE_READ),
]
OPEN = {
    *(("GET", "/config"), ("GET", "/meta"), ("POST", "/jobs/image"), ("POST", "/jobs/image-api")),
    *(("POST", f"/auth/{step}") for step in ("login", "accept-invitation", "reset-password")),
}


def test_no_route_escapes_these_tables(door: Door) -> None:
    routes = {
        (method.upper(), path.removeprefix("/api/v1/customer").replace("{artifact_id}", "y").replace("{key_id}", "k"))
        for path, operations in door.app.openapi()["paths"].items()
        for method in operations
    }
    names = {"{upload_id}": "x", "{job_id}": "x", "{webhook_id}": "x", "{delivery_id}": "y"}
    for name, letter in names.items():
        routes = {(method, path.replace(name, letter)) for method, path in routes}
    assert routes == OPEN | set(SESSION_ONLY) | {(method, path) for method, path, _ in BY_SCOPE}


@pytest.mark.parametrize(("method", "path"), [*SESSION_ONLY, *((method, path) for method, path, _ in BY_SCOPE)])
def test_without_proof_nothing_is_served(door: Door, method: str, path: str) -> None:
    answer = door.stranger().send(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "CUSTOMER_AUTH_REQUIRED")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), SESSION_ONLY)
def test_an_api_key_does_not_open_what_is_the_customers_own(door: Door, method: str, path: str) -> None:
    answer = door.customer(scopes=tuple(Scope)).send(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "CUSTOMER_AUTH_REQUIRED")


@pytest.mark.parametrize(("method", "path", "scope"), BY_SCOPE)
def test_each_route_asks_for_its_scope(door: Door, method: str, path: str, scope: Scope) -> None:
    implied = {Scope.DATASET_READ: Scope.DATASET_WRITE, Scope.TRAINING_READ: Scope.TRAINING_WRITE}.get(scope)
    others = tuple(other for other in Scope if other not in {scope, implied})
    denied = door.customer(scopes=others).send(method, path)
    assert (denied.status_code, denied.json()["error"]["code"]) == (403, "API_KEY_SCOPE_DENIED")
    assert denied.json()["error"]["details"]["required_scope"] == scope
    allowed = door.customer("bob@example.com", scopes=(scope,)).send(method, path)
    assert allowed.status_code not in {401, 403}


@pytest.mark.parametrize("key", ["", "nonsense", "sk_alpha_" + "0" * 24, "sk_alpha_" + "f" * 9000])
def test_an_unknown_key_is_invalid_even_beside_a_session(door: Door, key: str) -> None:
    answer = door.customer().get("/datasets", headers={"x-api-key": key})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "API_KEY_INVALID")


@pytest.mark.parametrize("value", ["Bearer", "Bearer  ", "Basic YTpi", "Bearer gas_unknown", "Bearer sk_alpha_" + "0" * 24])
def test_an_authorization_that_is_no_session_is_refused(door: Door, value: str) -> None:
    answer = door.stranger().get("/datasets", headers={"authorization": value})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "CUSTOMER_AUTH_REQUIRED")


def test_the_seed_collections_key_does_the_whole_flow(door: Door) -> None:
    ada = door.customer(scopes=SEED_SCOPES)
    job = ada.job()
    for path in ("", "/compute-units", "/artifacts"):
        assert ada.get(f"/training-jobs/{job['id']}{path}").status_code == 200
