"""Every refusal the core can utter, classed by what the caller does next.

    CoreError
    ├── ValidationFailed   400  correct the field named in the answer
    ├── AuthRequired       401  sign in, or send a valid key
    ├── PaymentRequired    402  buy credits
    ├── Forbidden          403  use a key with the scope
    ├── NotFound           404  absent, or another tenant's: never distinguished
    ├── Conflict           409  the thing is not in the state the call needs
    ├── Gone               410  use the replacement named in the answer
    ├── Throttled          429  wait ``retry_after`` seconds
    └── Unavailable        503  try again later

Below the services, stores raise only ``StaleWrite`` (re-read and decide again) and ``AlreadyExists``.
"""

from typing import Any


class CoreError(Exception):
    """A refusal with its HTTP status, its published code and a sentence that says what to do."""

    status = 500
    default_code = "INTERNAL_ERROR"

    def __init__(
        self, message: str, *, code: str | None = None, field: str | None = None, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.details: dict[str, Any] = dict(details or {})
        if field is not None:
            self.details["field"] = field


class ValidationFailed(CoreError):
    status = 400
    default_code = "VALIDATION_FAILED"


class AuthRequired(CoreError):
    status = 401
    default_code = "CUSTOMER_AUTH_REQUIRED"


class PaymentRequired(CoreError):
    status = 402
    default_code = "CREDIT_INSUFFICIENT"


class Forbidden(CoreError):
    status = 403
    default_code = "API_KEY_SCOPE_DENIED"


class NotFound(CoreError):
    status = 404
    default_code = "NOT_FOUND"


class Conflict(CoreError):
    status = 409
    default_code = "CONFLICT"


class Gone(CoreError):
    status = 410
    default_code = "LEGACY_DEPRECATED"


class Throttled(CoreError):
    status = 429
    default_code = "RATE_LIMITED"

    def __init__(
        self, message: str, *, retry_after: int, code: str | None = None, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message, code=code, details={"retry_after": retry_after, **(details or {})})
        self.retry_after = retry_after


class Unavailable(CoreError):
    status = 503
    default_code = "SIGNED_URL_FAILED"


class StaleWrite(Exception):
    """The row changed since it was read: read again and decide again."""


class AlreadyExists(Exception):
    """A row with this key is there already."""
