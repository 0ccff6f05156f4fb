"""Steps ``Finish`` and ``Compensate``: ``{"job_id", "outcome", "error"?}`` in; the job is in its end state after it."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from gpupool import bootstrap
from gpupool.observability import logger
from gpupool.workflow.model import Outcome

log = logger()


@log.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, str]:
    job_id, outcome = str(event["job_id"]), Outcome(event["outcome"])
    log.append_keys(job_id=job_id)
    error = event.get("error")
    if error:
        log.error("execution failed", extra={"step_error": error})
    bootstrap.workflow().close(job_id, outcome)
    log.info("job closed", extra={"outcome": outcome})
    return {"job_id": job_id, "outcome": str(outcome)}
