"""The API's own description: the OpenAPI document and the page that shows it. Public, and the same for everybody."""

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

if TYPE_CHECKING:
    from functions.customer_api.published import Published

DOCUMENT = "/api/v1/openapi.json"
router = APIRouter(include_in_schema=False)


@router.get(DOCUMENT)
async def document(request: Request) -> Response:
    return _published(request).document.answer(request)


@router.get("/docs")
async def page(request: Request) -> Response:
    return _published(request).page.answer(request)


@router.get("/docs/{name}")
async def asset(name: str, request: Request) -> Response:
    return _published(request).asset(name).answer(request)


def _published(request: Request) -> "Published":
    """Made at the first request for it; a cold start does not wait for the document."""
    state = request.app.state
    if not hasattr(state, "published"):
        from functions.customer_api.published import Published

        state.published = Published(request.app.openapi())
    published: Published = state.published
    return published
