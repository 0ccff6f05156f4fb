"""P1: a raised exception keeps its class, and the environment that raised it lives on.

AWS answers a raised exception with `errorType` = the exception's class, `errorMessage` and `stackTrace`; Step Functions
matches Retry and Catch on that class. The execution environment stays warm.
The emulator answers `Runtime.HandlerError` for every class and kills the worker, so the next call starts cold.
The patch has the worker report the class as a result of its own kind, which the emulator takes for a normal answer and
therefore keeps the worker; the answer is turned into the documented error on its way out.
"""

import threading
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from local.emulator.patches.handler_logs import END_MARK
from local.emulator.pinned import replace_once, require_pinned, wrap

require_pinned()

_REPORT = '_real_stdout.write(json.dumps({"status": "error", "error": str(e), "trace": traceback.format_exc()}) + "\\n")'
_REPORT_WITH_CLASS = f"""sys.stderr.write(traceback.format_exc())
            sys.stderr.write({END_MARK!r} + chr(10))
            sys.stderr.flush()
            _raised = {{"errorMessage": str(e), "errorType": type(e).__name__,
                       "requestId": _ms_ctx.get("request_id", ""), "stackTrace": traceback.format_tb(e.__traceback__)}}
            _real_stdout.write(json.dumps({{"status": "ok", "result": None, "raised": _raised}}) + "\\n")"""

_call = threading.local()


def _invoke_keeping_error(original: Any, worker: Any, *args: Any, **kwargs: Any) -> Any:
    response = original(worker, *args, **kwargs)
    _call.raised = response.pop("raised", None)
    return response


def _execute_with_error(original: Any, *args: Any, **kwargs: Any) -> Any:
    _call.raised = None
    result = original(*args, **kwargs)
    if _call.raised is None:
        return result
    return {"body": _call.raised, "error": True, "log": result.get("log", "")}


def apply() -> None:
    """Report the exception's class from the worker, and answer with it."""
    lambda_runtime._PYTHON_WORKER_SCRIPT = replace_once(
        lambda_runtime._PYTHON_WORKER_SCRIPT, old=_REPORT, new=_REPORT_WITH_CLASS
    )
    wrap(lambda_runtime.Worker, "invoke", _invoke_keeping_error)
    wrap(lambda_svc, "_execute_function_warm", _execute_with_error)
