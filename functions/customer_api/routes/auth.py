"""Signing in to the portal and out of it."""

from fastapi import APIRouter, Request, Response

from functions.customer_api.answers import Json, moment
from functions.customer_api.deps import COOKIE, SignedIn, core_of
from functions.customer_api.requests.accounts import LoginRequest
from functions.customer_api.routes import PREFIX
from functions.customer_api.views import accounts as views
from gpupool.accounts.model import SESSION_LIFETIME

router = APIRouter(prefix=f"{PREFIX}/auth", tags=["auth"])


@router.post("/login", operation_id="login")
async def login(body: LoginRequest, request: Request) -> Json:
    """A session token, also set as a cookie."""
    signed_in = core_of(request).accounts.login(email=body.email, password=body.password)
    answer = Json(
        {
            "session_token": signed_in.token,
            "expires_at": moment(signed_in.expires_at),
            "customer": views.customer(signed_in.customer),
        }
    )
    lifetime = int(SESSION_LIFETIME.total_seconds())
    answer.set_cookie(COOKIE, signed_in.token, max_age=lifetime, secure=True, httponly=True, samesite="lax")
    return answer


@router.get("/me", operation_id="getMe")
async def me(caller: SignedIn) -> Json:
    return Json(views.customer(caller.core.accounts.customer(caller.customer_id)))


@router.post("/logout", operation_id="logout")
async def logout(caller: SignedIn) -> Response:
    """Ends this session at once."""
    caller.core.accounts.logout(caller.token)
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, secure=True, httponly=True, samesite="lax")
    return answer
