"""The OpenAPI document, made of routes, shapes and notes. Imported only when somebody asks for it.

Most of it is derived: credentials give 401 and 403, an id in the path 404, a body 400, a cursor and an
Idempotency-Key their own codes, paths the links between operations. What cannot be derived is in ``reference``.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.routing import BaseRoute

from functions.customer_api import prose, shapes
from functions.customer_api.deps import needs
from functions.customer_api.links import add_links
from functions.customer_api.reference import NOTES, TAGS, Note
from functions.customer_api.reference.base import JSON
from functions.customer_api.reference.errors import CODES

Json = dict[str, Any]

_SCHEMA = "#/components/schemas/{model}"
_SECURITY = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "sk_alpha_ and 24 hex digits"},
    "Session": {"type": "http", "scheme": "bearer", "description": "session_token of POST /auth/login, also sent as a cookie"},
}
_REQUEST_ID = "00000000-0000-7000-8000-000000000000"
_HEADERS = {
    "X-Request-Id": ("The id of this request; tell it to the operator when something is wrong.", "string"),
    "X-RateLimit-Limit": ("How many requests of this kind the caller may make in a minute.", "integer"),
    "X-RateLimit-Remaining": ("How many of them are left.", "integer"),
    "X-RateLimit-Reset": ("Seconds until all of them are there again.", "integer"),
    "Retry-After": ("Seconds to wait before the next try.", "integer"),
    "Idempotent-Replayed": ("true: this is the answer to an earlier request with the same Idempotency-Key.", "string"),
    "WWW-Authenticate": ("Which credentials are taken.", "string"),
}
# On every answer.
_ALWAYS = ("X-Request-Id", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
_KEY = {
    "description": "8 to 128 letters, digits, - and _, such as a UUID. Repeating key and body repeats the answer alone.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{8,128}$"},
}
_DONE = {200: "Done.", 201: "Created.", 202: "Accepted; it happens soon.", 204: "Done; there is nothing to tell."}


def with_answers(document: Json, routes: Sequence[BaseRoute]) -> Json:
    """``document`` with every operation's answers, refusals, examples, links and credentials."""
    document["components"] = _components(document.get("components", {}))
    document["info"]["description"] = prose.introduction() + "\n\n" + prose.errors(level=1)
    document["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
    by_name = {route.operation_id: route for route in routes if isinstance(route, APIRoute)}
    for operations in document["paths"].values():
        for operation in operations.values():
            _complete(operation, by_name[operation["operationId"]])
    add_links(document["paths"])
    return document


def refusals(operation: Json, credentials: Sequence[Any], note: Note, *, changes: bool) -> list[str]:
    """The codes that an operation answers with, by status: what follows from how it is declared, and what its note adds."""
    parameters = {(each["in"], each["name"]) for each in operation.get("parameters", [])}
    codes = ["INTERNAL_ERROR", "RATE_LIMITED", *note.refuses]
    if credentials:
        # A page of another origin may not change anything by the cookie alone.
        codes += ["CUSTOMER_AUTH_REQUIRED", *(["ORIGIN_DENIED"] if changes else [])]
    if credentials and credentials != ["session"]:
        codes += ["API_KEY_INVALID", "API_KEY_REVOKED", "API_KEY_SCOPE_DENIED"]
    if "requestBody" in operation:
        codes += ["VALIDATION_FAILED", "BODY_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE"]
    if any(where == "query" for where, _ in parameters):
        codes += ["VALIDATION_FAILED"]
    if ("query", "cursor") in parameters:
        codes += ["PAGINATION_INVALID_CURSOR"]
    if ("header", "Idempotency-Key") in parameters:
        codes += ["IDEMPOTENCY_KEY_INVALID", "IDEMPOTENCY_CONFLICT"]
    # By convention {webhook_id} is refused as WEBHOOK_NOT_FOUND; where that is no code, the note has to say it.
    absent = [f"{name.removesuffix('_id').upper()}_NOT_FOUND" for where, name in parameters if where == "path"]
    codes += [code for code in absent if code in CODES]
    return sorted(set(codes), key=lambda code: (CODES[code].status, list(CODES).index(code)))


def _components(components: Json) -> Json:
    models = sorted({model for _, model in shapes.ANSWERS.values() if model} | {shapes.Error}, key=lambda m: m.__name__)
    _, schemas = models_json_schema([(model, "serialization") for model in models], ref_template=_SCHEMA)
    known = {name: schema for name, schema in components.get("schemas", {}).items() if "ValidationError" not in name}
    return {
        "schemas": {**known, **schemas["$defs"]},
        "securitySchemes": _SECURITY,
        "headers": {name: {"description": text, "schema": {"type": kind}} for name, (text, kind) in _HEADERS.items()},
        "examples": {code: {"summary": refusal.cause, "value": _refused(code)} for code, refusal in CODES.items()},
    }


def _complete(operation: Json, route: APIRoute) -> None:
    name = operation["operationId"]
    note = NOTES.get(name, Note())
    demands = [demand for dependency in route.dependant.dependencies if (demand := needs(dependency.call))]
    operation["summary"] = _sentence(name)
    operation["security"] = _credentials(demands)
    for parameter in operation.get("parameters", []):
        if parameter["name"] == "Idempotency-Key":
            parameter.update(_KEY)
    if note.sends is not None and "requestBody" in operation:
        operation["requestBody"]["content"][JSON]["examples"] = {"default": {"value": note.sends}}
    status, model = shapes.ANSWERS[name]
    responses: dict[int, Json] = {}
    if status < 400:
        responses[status] = _success(operation, status, model, note)
        responses |= {other: {"description": text, "headers": _headers()} for other, text in note.also.items()}
    responses |= _refusals(refusals(operation, demands, note, changes=route.methods != {"GET"}))
    operation["responses"] = {str(code): responses[code] for code in sorted(responses)}


def _success(operation: Json, status: int, model: type[BaseModel] | None, note: Note) -> Json:
    replays = any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", []))
    headers = _headers(*(("Idempotent-Replayed",) if replays else ()))
    headers |= {name: {"description": text, "schema": {"type": "string"}} for name, text in note.headers.items()}
    answer: Json = {"description": _DONE.get(status, "Done."), "headers": headers}
    if model is None and note.media == JSON:
        return answer
    schema = {"type": "string"} if model is None else {"$ref": _SCHEMA.format(model=model.__name__)}
    content: Json = {"schema": schema}
    if note.answers is not None:
        content["examples"] = {"default": {"value": note.answers}}
    answer["content"] = {note.media: content}
    return answer


def _refusals(codes: Sequence[str]) -> dict[int, Json]:
    """One answer per status, with an example per code."""
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(CODES[code].status, []).append(code)
    extra = {401: ("WWW-Authenticate",), 429: ("Retry-After",)}
    return {
        status: {
            "description": f"Refused: {', '.join(f'`{code}`' for code in found)}.",
            "headers": _headers(*extra.get(status, ())),
            "content": {
                JSON: {
                    "schema": {"$ref": _SCHEMA.format(model=shapes.Error.__name__)},
                    "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in found},
                }
            },
        }
        for status, found in by_status.items()
    }


def _refused(code: str) -> Json:
    return {"error": {"code": code, "message": CODES[code].remedy, "request_id": _REQUEST_ID}}


def _headers(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*_ALWAYS, *names)}


def _sentence(operation_id: str) -> str:
    """``listTrainingJobs`` as ``List training jobs``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", operation_id).capitalize()


def _credentials(demands: Sequence[Any]) -> list[Mapping[str, list[str]]]:
    if not demands:
        return []
    if demands == ["session"]:
        return [{"Session": []}]
    return [{"ApiKey": [str(scope) for scope in demands]}, {"Session": []}]
