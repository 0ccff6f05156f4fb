"""Signing in, and API keys."""

from functions.customer_api.reference.base import AT, Note, Notes, full

TAGS = {
    "auth": "A session of 12 hours for a person at the portal, as a bearer token or a cookie.",
    "api keys": "Keys for programs, each with scopes. Only a session manages them, so that a leaked key cannot make more.",
}

_SCOPES = ["artifact:read", "dataset:write", "training:write", "usage:read"]
_CUSTOMER = {"id": "019aa5ef-8f10-7c33-b1a2-6e4d9c8b7a00", "email": "ada@example.com", "name": "Ada", "created_at": AT}
_LOGIN = {"session_token": "gas_3d6f0a1b2c", "expires_at": "2026-11-22T14:42:03.096Z", "customer": _CUSTOMER}
_COOKIE = {"Set-Cookie": "The session token as the cookie gpu_agent_session."}
_KEY = {
    "id": "key_58bbafbe",
    "name": "laptop",
    "prefix": "sk_alpha_58bbafbe",
    "scopes": _SCOPES,
    "created_at": AT,
    "expires_at": None,
    "revoked_at": None,
}

NOTES: Notes = {
    "login": Note(
        sends={"email": "ada@example.com", "password": "correct horse battery staple"},
        answers=_LOGIN,
        refuses=("LOGIN_FAILED", "TRY_AGAIN"),
        headers=_COOKIE,
    ),
    "acceptInvitation": Note(
        sends={"token": "gai_7c1e94d0", "password": "correct horse battery staple", "name": "Ada"},
        answers=_LOGIN,
        refuses=("INVITATION_INVALID", "EMAIL_TAKEN", "TRY_AGAIN"),
        headers=_COOKIE,
    ),
    "resetPassword": Note(
        sends={"token": "gar_5b0d27aa", "new_password": "another horse battery staple"},
        answers=_LOGIN,
        refuses=("RESET_TOKEN_INVALID", "TRY_AGAIN"),
        headers=_COOKIE,
    ),
    "changePassword": Note(
        sends={"current_password": "correct horse battery staple", "new_password": "another horse battery staple"},
        refuses=("PASSWORD_WRONG", "TRY_AGAIN"),
    ),
    "getMe": Note(answers=_CUSTOMER),
    "logout": Note(),
    "createApiKey": Note(
        sends={"name": "laptop", "scopes": _SCOPES},
        answers={**_KEY, "key": "sk_alpha_58bbafbe28c14d0f9a7b6e53"},
    ),
    "listApiKeys": Note(answers=full(_KEY)),
    "getApiKey": Note(answers=_KEY, refuses=("API_KEY_NOT_FOUND",)),
    "revokeApiKey": Note(refuses=("API_KEY_NOT_FOUND",)),
}
