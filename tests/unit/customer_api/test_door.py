"""What the customer door does with what it was not built for, and the document it publishes."""

import pytest

from tests.support.asgi import AsgiClient
from tests.support.customer_door import PASSWORD, Door


@pytest.fixture
def door() -> Door:
    return Door()


def test_limits_and_vocabularies_are_told_to_anybody(door: Door) -> None:
    config = door.stranger().get("/config").json()
    assert config["signed_url_seconds"] == 900
    assert config["pagination"] == {"default_limit": 50, "max_limit": 100}
    assert config["training_jobs"]["required_disk_mb"] == {"min": 64, "max": 200_000, "default": 1_024}
    assert door.stranger().get("/meta").json()["environment"] == "local"


@pytest.mark.parametrize("path", ["/jobs/image", "/jobs/image-api"])
@pytest.mark.parametrize("body", [b"", b"anything", b'{"model": "sd-1-5"}'])
def test_image_jobs_are_gone_and_say_where_to_go(door: Door, path: str, body: bytes) -> None:
    answer = door.stranger().post(path, content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "LEGACY_DEPRECATED")
    assert answer.json()["error"]["details"]["replacement"] == "/api/v1/customer/training-jobs"


@pytest.mark.parametrize(
    "path", ["/jobs", "/jobs/1", "/jobs/1/artifacts", "/artifacts/1/signed-url", "/models", "/nowhere", ""]
)
def test_what_was_removed_is_a_plain_404(door: Door, path: str) -> None:
    answer = door.stranger().get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "path",
    ["/", "/api/v1/other", "/docs/other.js", "/redoc", "/api/v1/customer/openapi.json", "/api/v1/customer/datasets/", "//"],
)
def test_paths_outside_the_door_answer_in_the_envelope(door: Door, path: str) -> None:
    answer = AsgiClient(door.app).get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


def test_a_wrong_method_names_the_right_ones(door: Door) -> None:
    answer = door.stranger().send("PUT", "/auth/login")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{}", {"content-type": "text/plain"}, 400, "UNSUPPORTED_MEDIA_TYPE"),
        (b"a=b", {"content-type": "application/x-www-form-urlencoded"}, 400, "UNSUPPORTED_MEDIA_TYPE"),
        (b"{}", {}, 400, "UNSUPPORTED_MEDIA_TYPE"),
        (b" " * 1_000_001, {"content-type": "application/json"}, 400, "BODY_TOO_LARGE"),
        (b"{", {"content-type": "application/json"}, 400, "VALIDATION_FAILED"),
        (b"[]", {"content-type": "application/json"}, 400, "VALIDATION_FAILED"),
        (b"", {"content-type": "application/json"}, 400, "VALIDATION_FAILED"),
        (b"\xff", {"content-type": "application/json"}, 400, "VALIDATION_FAILED"),
        (b"[" * 100_000, {"content-type": "application/json"}, 400, "VALIDATION_FAILED"),
        (b'{"email": "a@b.c", "password": "\\ud800"}', {"content-type": "application/json"}, 400, "VALIDATION_FAILED"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(
    door: Door, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = door.stranger().post("/auth/login", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_json_with_a_charset_is_json(door: Door) -> None:
    door.customer()
    body = f'{{"email": "ada@example.com", "password": "{PASSWORD}"}}'.encode()
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert door.stranger().post("/auth/login", content=body, headers=headers).status_code == 200


def test_every_wrong_field_is_named_and_no_secret_repeated(door: Door) -> None:
    answer = door.stranger().post("/auth/login", {"email": "", "password": ["hunter2"], "extra": 1})
    fields = {found["field"] for found in answer.json()["error"]["details"]["fields"]}
    assert fields == {"/email", "/password", "/extra"}
    assert "hunter2" not in answer.text


def test_a_crash_tells_nothing_of_itself(door: Door) -> None:
    ada = door.customer()
    del door.world.jobs  # a fault of ours
    answer = ada.get("/training-jobs/x")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "INTERNAL_ERROR")
    assert "World" not in answer.text
