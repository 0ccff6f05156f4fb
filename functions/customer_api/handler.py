"""Entry point of the customer door, and of every path that nothing else answers."""

from typing import TYPE_CHECKING, Any

from mangum import Mangum

from functions.customer_api.app import create_app
from gpupool.observability import logger

if TYPE_CHECKING:
    from gpupool.bootstrap import CustomerCore


def _core() -> "CustomerCore":
    """Services and clients come with the first request that needs them; a refusal needs none."""
    from gpupool.bootstrap import customer_core

    return customer_core()


_asgi = Mangum(create_app(_core), lifespan="off")


@logger().inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One API Gateway request (payload 2.0) in, one answer out."""
    return _asgi(event, context)
