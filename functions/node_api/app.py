"""The node door as an ASGI app."""

from collections.abc import Callable

from fastapi import APIRouter, Depends, FastAPI

from functions.node_api.deps import speaks_our_protocol
from functions.node_api.routes import joining, units
from gpupool.bootstrap import NodeCore
from gpupool.http.envelope import install_error_handlers
from gpupool.http.request_id import RequestIdMiddleware
from gpupool.wire.errors import NodeErrorCode

PREFIX = "/api/v1/node"
# An agent knows only the wire's codes; a path that is not there means that its message is wrong.
_ROUTING_CODES = dict.fromkeys((404, 405, 413), NodeErrorCode.VALIDATION_FAILED.value)


def create_app(core: Callable[[], NodeCore]) -> FastAPI:
    """The routes, refusals in the envelope, and no document of itself: the contract is ``gpupool.wire``.

    ``core`` is asked at the first request, so that importing the app touches neither settings nor AWS.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.core = core
    door = APIRouter(prefix=PREFIX, dependencies=[Depends(speaks_our_protocol)])
    door.include_router(joining.router)
    door.include_router(units.router)
    app.include_router(door)
    install_error_handlers(app, routing_codes=_ROUTING_CODES)
    # Answers carry keys and presigned URLs.
    app.add_middleware(RequestIdMiddleware, headers=(("Cache-Control", "no-store"),))
    return app
