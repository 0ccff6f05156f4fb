"""Opening an account, signing in to the portal and out of it, and the password that it takes."""

from fastapi import APIRouter, Request, Response

from functions.customer_api.answers import Json, moment
from functions.customer_api.deps import COOKIE, SignedIn, core_of
from functions.customer_api.requests.accounts import (
    AcceptInvitationRequest,
    ChangePasswordRequest,
    LoginRequest,
    ResetPasswordRequest,
)
from functions.customer_api.routes import PREFIX
from functions.customer_api.views import accounts as views
from gpupool.accounts.model import SESSION_LIFETIME, Login

router = APIRouter(prefix=f"{PREFIX}/auth", tags=["auth"])


@router.post("/login", operation_id="login")
async def login(body: LoginRequest, request: Request) -> Json:
    """A session token, also set as a cookie."""
    return _signed_in(core_of(request).accounts.login(email=body.email, password=body.password))


@router.post("/accept-invitation", operation_id="acceptInvitation")
async def accept_invitation(body: AcceptInvitationRequest, request: Request) -> Json:
    """Opens the account that an operator's invitation is for, and signs in to it."""
    tickets = core_of(request).tickets
    return _signed_in(tickets.accept(body.token, password=body.password, name=body.name), status_code=201)


@router.post("/reset-password", operation_id="resetPassword")
async def reset_password(body: ResetPasswordRequest, request: Request) -> Json:
    """Sets the password by an operator's reset token, and signs in."""
    return _signed_in(core_of(request).tickets.reset_password(body.token, password=body.new_password))


@router.post("/change-password", operation_id="changePassword")
async def change_password(body: ChangePasswordRequest, caller: SignedIn) -> Response:
    """Sets another password and ends every other session; API keys go on."""
    caller.core.accounts.change_password(
        caller.customer_id, current=body.current_password, new=body.new_password, token=caller.token
    )
    return Response(status_code=204)


@router.get("/me", operation_id="getMe")
async def me(caller: SignedIn) -> Json:
    """Who is signed in."""
    return Json(views.customer(caller.core.accounts.customer(caller.customer_id)))


@router.post("/logout", operation_id="logout")
async def logout(caller: SignedIn) -> Response:
    """Ends this session at once."""
    caller.core.accounts.logout(caller.token)
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, secure=True, httponly=True, samesite="lax")
    return answer


def _signed_in(login: Login, *, status_code: int = 200) -> Json:
    """The session token, for programs in the body and for browsers as a cookie."""
    content = {
        "session_token": login.token,
        "expires_at": moment(login.expires_at),
        "customer": views.customer(login.customer),
    }
    answer = Json(content, status_code=status_code)
    lifetime = int(SESSION_LIFETIME.total_seconds())
    answer.set_cookie(COOKIE, login.token, max_age=lifetime, secure=True, httponly=True, samesite="lax")
    return answer
