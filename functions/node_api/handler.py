"""Entry point of the node door."""

from typing import Any

from mangum import Mangum

from functions.node_api.app import create_app
from gpupool.bootstrap import node_core
from gpupool.observability import logger

_asgi = Mangum(create_app(node_core), lifespan="off")


@logger().inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One API Gateway request (payload 2.0) in, one answer out."""
    return _asgi(event, context)
