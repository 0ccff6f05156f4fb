"""The OpenAPI document's answers and security. Imported only when somebody asks for the document."""

import re
from collections.abc import Sequence
from typing import Any

from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.routing import BaseRoute

from functions.customer_api import shapes
from functions.customer_api.deps import needs

_REF = "#/components/schemas/{model}"
_SECURITY = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "sk_alpha_ and 24 hex digits"},
    "Session": {"type": "http", "scheme": "bearer", "description": "session_token of POST /auth/login, also sent as a cookie"},
}


def with_answers(document: dict[str, Any], routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """``document`` with every operation's answers, errors and credentials."""
    models = sorted({model for _, model in shapes.ANSWERS.values() if model} | {shapes.Error}, key=lambda m: m.__name__)
    _, schemas = models_json_schema([(model, "serialization") for model in models], ref_template=_REF)
    components = document.setdefault("components", {})
    known = {name: schema for name, schema in components.get("schemas", {}).items() if "ValidationError" not in name}
    components["schemas"] = {**known, **schemas["$defs"]}
    components["securitySchemes"] = _SECURITY
    credentials = {route.operation_id: _credentials(route) for route in routes if isinstance(route, APIRoute)}
    for operations in document["paths"].values():
        for operation in operations.values():
            name = operation["operationId"]
            operation["responses"] = _responses(*shapes.ANSWERS[name])
            operation["security"] = credentials[name]
            operation["summary"] = _sentence(name)
    return document


def _responses(status: int, model: type[BaseModel] | None) -> dict[str, Any]:
    error = {"description": "Refused; error.code says why", "content": _json(shapes.Error)}
    if status >= 400:
        return {str(status): error}
    success: dict[str, Any] = {"description": "Done"}
    if model is not None:
        success["content"] = _json(model)
    return {str(status): success, "4XX": error, "5XX": error}


def _sentence(operation_id: str) -> str:
    """``listTrainingJobs`` as ``List training jobs``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", operation_id).capitalize()


def _json(model: type[BaseModel]) -> dict[str, Any]:
    name = model.__name__
    return {"application/json": {"schema": {"$ref": _REF.format(model=name)}}}


def _credentials(route: APIRoute) -> list[dict[str, list[str]]]:
    demands = [demand for dependency in route.dependant.dependencies if (demand := needs(dependency.call))]
    if not demands:
        return []
    if demands == ["session"]:
        return [{"Session": []}]
    return [{"ApiKey": [str(scope) for scope in demands]}, {"Session": []}]
