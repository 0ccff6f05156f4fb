"""Step ``Plan``: ``{"job_id", "step"}`` in, the next step out."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from gpupool import bootstrap
from gpupool.observability import logger
from gpupool.workflow.wire import step_from, step_state

log = logger()


@log.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    job_id = str(event["job_id"])
    log.append_keys(job_id=job_id)
    step = bootstrap.workflow().plan(job_id, step_from(event["step"]))
    log.info("job planned", extra={"outcome": step.outcome})
    return step_state(step)
