"""Signing in, and API keys."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field

from functions.customer_api.requests.base import Name, Request
from gpupool.accounts.model import MAX_PASSWORD, MIN_PASSWORD, Scope


def _in_utc(moment: datetime) -> datetime:
    """Every later reader converts to UTC, where the first and the last hours of the calendar do not exist."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie between the years 1 and 9999 in UTC") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Password = Annotated[str, Field(min_length=1, max_length=MAX_PASSWORD)]
NewPassword = Annotated[str, Field(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD)]
Token = Annotated[str, Field(min_length=1, max_length=200)]


class LoginRequest(Request):
    email: Annotated[str, Field(min_length=3, max_length=254)]
    password: Password


class AcceptInvitationRequest(Request):
    token: Token
    password: NewPassword
    name: Name | None = None


class ChangePasswordRequest(Request):
    current_password: Password
    new_password: NewPassword


class ResetPasswordRequest(Request):
    token: Token
    new_password: NewPassword


class CreateKeyRequest(Request):
    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))]
    expires_at: Moment | None = None
