"""Steps ``Finish`` and ``Compensate``: ``{"job_id", "outcome", "step", "error"?}`` in, the next step out; the job is in its
end state when that says ``closed``. Also told of executions that were stopped from outside: ``{"stopped"}``, a name."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from gpupool import bootstrap
from gpupool.observability import logger
from gpupool.workflow.model import Outcome
from gpupool.workflow.wire import step_from, step_state

log = logger()


@log.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    if "stopped" in event:
        log.error("execution stopped", extra={"execution": event["stopped"], "status": event["status"]})
        bootstrap.workflow().abandon(str(event["stopped"]))
        return {}
    job_id, outcome = str(event["job_id"]), Outcome(event["outcome"])
    log.append_keys(job_id=job_id)
    error = event.get("error")
    if error:
        log.error("execution failed", extra={"step_error": error})
    step = bootstrap.workflow().close(job_id, outcome, step_from(event["step"]))
    log.info("job closing", extra={"outcome": outcome, "step": step.outcome})
    return step_state(step)
