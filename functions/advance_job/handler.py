"""Step ``Advance``: ``{"job_id", "task_token", "entered", "retry"}`` in. The step ends when somebody answers the token, not
when this returns."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from gpupool import bootstrap
from gpupool.observability import logger

log = logger()


@log.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    job_id = str(event["job_id"])
    log.append_keys(job_id=job_id)
    entered = f"{event['entered']}#{int(event['retry']):05d}"
    bootstrap.workflow().advance(job_id, str(event["task_token"]), entered=entered)
