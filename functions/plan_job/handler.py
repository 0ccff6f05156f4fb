"""Step ``Plan``: ``{"job_id"}`` in, ``{"job_id", "outcome"}`` out."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from gpupool import bootstrap
from gpupool.observability import logger

log = logger()


@log.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, str]:
    job_id = str(event["job_id"])
    log.append_keys(job_id=job_id)
    outcome = bootstrap.workflow().plan(job_id)
    log.info("job planned", extra={"outcome": outcome})
    return {"job_id": job_id, "outcome": str(outcome)}
