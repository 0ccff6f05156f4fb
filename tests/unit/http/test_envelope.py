"""Every answer of a door that refuses looks the same and can be found again by its id."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field

from gpupool.errors import AuthRequired, NotFound, Throttled
from gpupool.http.envelope import install_error_handlers
from gpupool.http.request_id import RequestIdMiddleware
from tests.support.asgi import AsgiClient


class Inner(BaseModel):
    size: int = Field(ge=1)


class Body(BaseModel):
    secret: str = Field(max_length=3)
    inner: Inner


def a_client() -> AsgiClient:
    app = FastAPI()
    install_error_handlers(app)
    app.add_middleware(RequestIdMiddleware, headers=(("Cache-Control", "no-store"),))

    @app.post("/things")
    async def things(body: Body, limit: int = 5) -> dict[str, Any]:
        return {"limit": limit}

    @app.get("/refused/{how}")
    async def refused(how: str) -> None:
        errors = {
            "auth": AuthRequired("Sign in."),
            "missing": NotFound("No such job.", code="JOB_NOT_FOUND"),
            "fast": Throttled("Too fast.", retry_after=7),
            "crash": RuntimeError("the database password is hunter2"),
        }
        raise errors[how]

    return AsgiClient(app)


def test_a_refusal_carries_its_code_its_sentence_and_the_request_id() -> None:
    answer = a_client().get("/refused/missing")

    assert answer.status_code == 404
    assert answer.json() == {
        "error": {"code": "JOB_NOT_FOUND", "message": "No such job.", "request_id": answer.headers["x-request-id"]}
    }


def test_refusals_bring_the_headers_that_their_status_asks_for() -> None:
    assert a_client().get("/refused/fast").headers["retry-after"] == "7"
    assert a_client().get("/refused/fast").json()["error"]["details"] == {"retry_after": 7}
    assert a_client().get("/refused/auth").headers["www-authenticate"] == "Bearer"


def test_every_malformed_field_is_named_and_nothing_that_was_sent_is_repeated() -> None:
    answer = a_client().post("/things?limit=x", json={"secret": "hunter2", "inner": {"size": 0}})

    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "VALIDATION_FAILED"
    assert {found["field"] for found in error["details"]["fields"]} == {"limit", "/secret", "/inner/size"}
    assert error["details"]["field"] == error["details"]["fields"][0]["field"]
    assert "hunter2" not in answer.text


def test_a_body_that_is_not_json_is_a_validation_error_of_the_whole_body() -> None:
    answer = a_client().post("/things", content=b"{nope", headers={"content-type": "application/json"})

    assert answer.status_code == 400
    assert answer.json()["error"]["details"]["field"] == ""


def test_unknown_paths_and_methods_answer_in_the_envelope() -> None:
    assert a_client().get("/nowhere").json()["error"]["code"] == "NOT_FOUND"
    assert a_client().get("/things").status_code == 405
    assert a_client().get("/things").json()["error"]["code"] == "METHOD_NOT_ALLOWED"
    assert a_client().get("/things").headers["allow"] == "POST"


def test_a_crash_answers_with_an_id_and_without_its_reason() -> None:
    answer = a_client().get("/refused/crash")

    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "INTERNAL_ERROR"
    assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["cache-control"] == "no-store"
    assert "hunter2" not in answer.text


def test_a_caller_cannot_choose_the_request_id() -> None:
    answer = a_client().get("/nowhere", headers={"x-request-id": "mine"})

    assert answer.headers["x-request-id"] != "mine"
