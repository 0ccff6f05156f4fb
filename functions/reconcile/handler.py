"""Every five minutes: looks at live and ended jobs, some at a time, and repairs and counts what should never be."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from gpupool import bootstrap
from gpupool.observability import count_found, logger
from gpupool.recovery.service import WATCHED_PER_RUN

log = logger()


class NotLookedAt(Exception):
    """Something could not be looked at; the log says what, and the alarm on this function's errors fires."""


@log.inject_lambda_context
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    report = bootstrap.recovery().run()
    count_found(report.counts, stage=bootstrap.ports().settings.stage)
    if report.watched >= WATCHED_PER_RUN:
        log.warning("more jobs are watched than a run can list; the newest wait", extra={"watched": report.watched})
    if report.failed:
        raise NotLookedAt(f"{report.failed} of {report.looked_at} could not be looked at")
    return {"watched": report.watched, "looked_at": report.looked_at, "found": report.counts}
