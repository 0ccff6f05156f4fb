"""Entry point of the customer door, and of every path that nothing else answers."""

from typing import Any

from mangum import Mangum

from functions.customer_api.app import create_app
from gpupool.bootstrap import customer_core
from gpupool.observability import logger

_asgi = Mangum(create_app(customer_core), lifespan="off")


@logger().inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One API Gateway request (payload 2.0) in, one answer out."""
    return _asgi(event, context)
