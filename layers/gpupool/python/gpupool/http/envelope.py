"""The error envelope ``{"error": {"code", "message", "request_id", "details"?}}`` and what turns into it."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from gpupool.errors import AuthRequired, CoreError, Throttled

REQUEST_ID = "request_id"

# What routing itself refuses. A door with a closed vocabulary of codes passes its own words.
ROUTING_CODES: Mapping[int, str] = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 413: "BODY_TOO_LARGE"}

_ROUTING_MESSAGES: Mapping[int, str] = {
    404: "There is nothing at this path; check it against the API's documentation.",
    405: "This path does not take that method; the Allow header names those it takes.",
    413: "The body is too large; send less.",
}


def error_response(
    status: int,
    code: str,
    message: str,
    *,
    request_id: str,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """One refusal in the envelope."""
    error: dict[str, Any] = {"code": code, "message": message, "request_id": request_id}
    if details:
        error["details"] = dict(details)
    return JSONResponse({"error": error}, status_code=status, headers=dict(headers or {}))


def request_id_of(request: Request) -> str:
    """The id that RequestIdMiddleware gave to this request."""
    return str(getattr(request.state, REQUEST_ID, ""))


def install_error_handlers(app: FastAPI, *, routing_codes: Mapping[int, str] = ROUTING_CODES) -> None:
    """Makes every refusal of ``app`` an envelope; unexpected exceptions are RequestIdMiddleware's."""

    async def unrouted(request: Request, error: Exception) -> JSONResponse:
        if isinstance(error.__cause__, CoreError):
            # What the body guard refuses while FastAPI reads the body comes wrapped.
            return await _refused(request, error.__cause__)
        refusal = cast(HTTPException, error)
        status = refusal.status_code
        return error_response(
            status,
            routing_codes.get(status, "VALIDATION_FAILED" if status < 500 else "INTERNAL_ERROR"),
            _ROUTING_MESSAGES.get(status, "The request could not be read; check its body and headers."),
            request_id=request_id_of(request),
            headers=refusal.headers,
        )

    app.add_exception_handler(CoreError, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, unrouted)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    refusal = cast(CoreError, error)
    return error_response(
        refusal.status,
        str(refusal.code),
        refusal.message,
        request_id=request_id_of(request),
        details=refusal.details,
        headers=_headers_of(refusal),
    )


async def _malformed(request: Request, error: Exception) -> JSONResponse:
    fields = fields_of(cast(RequestValidationError, error).errors())
    first = fields[0]
    return error_response(
        400,
        "VALIDATION_FAILED",
        f"{first['field'] or 'The body'}: {first['message']}. Correct the request and send it again.",
        request_id=request_id_of(request),
        details={"field": first["field"], "fields": fields},
    )


def fields_of(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Pydantic's findings by field: a JSON pointer inside the body, the bare name elsewhere. Never repeats what was sent."""
    return [{"field": _field(error["loc"], error["type"]), "message": str(error["msg"])} for error in errors]


def _field(location: Sequence[str | int], kind: str) -> str:
    where, *path = location
    if where != "body":
        return "/".join(map(str, path)) or str(where)
    if kind == "json_invalid":  # its path is a character offset, not a field
        return ""
    return "/" + "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _headers_of(error: CoreError) -> dict[str, str]:
    if isinstance(error, Throttled):
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, AuthRequired):
        return {"WWW-Authenticate": "Bearer"}
    return {}
