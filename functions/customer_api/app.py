"""The customer door as an ASGI app."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from functions.customer_api.body import BodyGuard
from functions.customer_api.routes import (
    api_keys,
    auth,
    datasets,
    job_history,
    meta,
    reference,
    training_jobs,
    training_packages,
    usage,
    webhooks,
)
from functions.customer_api.turnstile import Turnstile
from gpupool.http.envelope import install_error_handlers
from gpupool.http.request_id import RequestIdMiddleware

if TYPE_CHECKING:
    from gpupool.bootstrap import CustomerCore

# The busiest first: routes are tried in this order.
_ROOMS = (training_jobs, job_history, datasets, training_packages, usage, webhooks, auth, api_keys, meta, reference)


def create_app(core: "Callable[[], CustomerCore]") -> FastAPI:
    """The routes over ``core``, which is asked for on the first request that needs it: making its clients takes time."""
    app = _Door(
        title="GPU-Agent Customer API",
        version="v1-alpha",
        openapi_url=None,  # routes.reference answers it
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.core = core
    for room in _ROOMS:
        # Not include_router: it makes every route a second time and looks for it in two steps at every request.
        app.router.routes.extend(room.router.routes)
    install_error_handlers(app)
    app.add_middleware(BodyGuard)
    app.add_middleware(Turnstile, core=core)
    # Answers carry tokens and presigned URLs.
    app.add_middleware(RequestIdMiddleware, headers=(("Cache-Control", "no-store"),))
    return app


class _Door(FastAPI):
    """FastAPI whose document also tells the answers, from models that only the document needs."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            from functions.customer_api.document import with_answers

            self.openapi_schema = with_answers(super().openapi(), [route for room in _ROOMS for route in room.router.routes])
        return self.openapi_schema
