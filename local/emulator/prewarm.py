"""Starting one environment per function ahead of the first event, so that a demo's first job is not all cold starts."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ministack.core import concurrency, lambda_runtime
from ministack.services import lambda_svc

from local.emulator.pinned import require_pinned

require_pinned()

ROUTE = "/_local/prewarm"
_AT_ONCE = 2

_logger = logging.getLogger("prewarm")


async def answer(send: Any) -> None:
    """Warm every Python function up and answer with their names; a function whose import fails is left out."""
    names = await concurrency.run_reentrant(_warm_all, thread_name="prewarm")
    body = json.dumps({"warm": names}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


def _warm_all() -> list[str]:
    records = [record for record in lambda_svc._functions.all_values() if record.get("code_zip")]
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return [name for name in pool.map(_warm, records) if name]


def _warm(record: Any) -> str | None:
    config = record["config"]
    if not str(config.get("Runtime", "")).startswith("python"):
        return None
    name = str(config["FunctionName"])
    worker, _ = lambda_runtime.acquire_worker(name, config, record["code_zip"])
    try:
        lambda_runtime.ensure_spawned(worker)
    except (RuntimeError, OSError) as error:
        _logger.warning("%s does not start: %s", name, error)
        lambda_runtime.invalidate_worker(name)
        return None
    finally:
        lambda_runtime.release_worker(worker)
    return name
