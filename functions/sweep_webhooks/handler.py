"""Every five minutes: rings for webhook attempts that are due until the next run, and for those whose message was lost."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from gpupool import bootstrap
from gpupool.observability import logger

HORIZON_SECONDS = 300
LIMIT = 2_000
log = logger()


@log.inject_lambda_context
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    rung = bootstrap.sweep().run(horizon_seconds=HORIZON_SECONDS, limit=LIMIT)
    if rung >= LIMIT:
        log.warning("more attempts are due than one run rings for; the next one goes on", extra={"rung": rung})
    return {"rung": rung}
