"""Customers, their sessions and their API keys."""

from pydantic import AwareDatetime, Field

from functions.customer_api.shapes.base import Answers, Listing, Shape
from gpupool.accounts.model import Scope


class Customer(Shape):
    id: str
    email: str
    name: str
    created_at: AwareDatetime


class Login(Shape):
    session_token: str
    expires_at: AwareDatetime
    customer: Customer


class ApiKey(Shape):
    id: str
    name: str
    prefix: str
    scopes: list[Scope]
    created_at: AwareDatetime
    expires_at: AwareDatetime | None
    revoked_at: AwareDatetime | None


class NewApiKey(ApiKey):
    key: str = Field(description="the plaintext, shown once")


class ApiKeys(Listing[ApiKey]):
    pass


ANSWERS: Answers = {
    "login": (200, Login),
    "acceptInvitation": (201, Login),
    "resetPassword": (200, Login),
    "changePassword": (204, None),
    "getMe": (200, Customer),
    "logout": (204, None),
    "createApiKey": (201, NewApiKey),
    "listApiKeys": (200, ApiKeys),
    "getApiKey": (200, ApiKey),
    "revokeApiKey": (204, None),
}
