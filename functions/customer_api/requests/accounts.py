"""Signing in, and API keys."""

from typing import Annotated

from pydantic import AwareDatetime, Field

from functions.customer_api.requests.base import Name, Request
from gpupool.accounts.model import Scope


class LoginRequest(Request):
    email: Annotated[str, Field(min_length=3, max_length=254)]
    password: Annotated[str, Field(min_length=1, max_length=1024)]


class CreateKeyRequest(Request):
    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))]
    expires_at: AwareDatetime | None = None
