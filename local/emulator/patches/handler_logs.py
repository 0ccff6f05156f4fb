"""P2: a handler that logs nothing answers at once, and a handler that logs loses no line.

AWS answers as soon as the handler returns, and everything it wrote before reaches the log.
The emulator waits 50 ms for a first log line that a quiet handler never writes, and stops at the first pause of 5 ms.
The patch has the worker write an end mark to the log stream before it answers, and reads the log up to that mark.
"""

import queue
import time
from typing import Any

from ministack.core import lambda_runtime

from local.emulator.pinned import replace_once, require_pinned, wrap

require_pinned()

END_MARK = "\x1eend-of-invocation"
_PATIENCE_SECONDS = 0.25
_ANSWER = "            result = handler_fn(event, context)\n"


def _drain_to_mark(original: Any, worker: Any, *args: Any, **kwargs: Any) -> str:
    if not str(worker.config.get("Runtime", "")).startswith("python"):
        return str(original(worker, *args, **kwargs))
    lines: list[str] = []
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        try:
            line = worker._stderr_queue.get(timeout=left)
        except queue.Empty:
            break
        if line == END_MARK:
            break
        lines.append(line)
    return "\n".join(lines)


def apply() -> None:
    """Mark the end of each invocation's log, and read up to the mark."""
    marked = f"{_ANSWER}            sys.stderr.write({END_MARK!r} + chr(10))\n            sys.stderr.flush()\n"
    lambda_runtime._PYTHON_WORKER_SCRIPT = replace_once(lambda_runtime._PYTHON_WORKER_SCRIPT, old=_ANSWER, new=marked)
    wrap(lambda_runtime.Worker, "_drain_stderr_bounded", _drain_to_mark)
