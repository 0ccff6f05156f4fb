"""P7: handlers run on the project's interpreter.

AWS runs a function on the runtime named in its configuration, with the packages of its layers.
The emulator runs every Python function on the interpreter that runs the emulator, whose packages are the emulator's.
The patch starts Python functions with the interpreter named by LAMBDA_PYTHON (the project's virtual environment).
"""

import os
from typing import Any

from ministack.core import lambda_runtime

from local.emulator.pinned import require_pinned, wrap

require_pinned()


def _project_python(original: Any, runtime: str) -> tuple[str, str]:
    binary, script = original(runtime)
    return (os.environ.get("LAMBDA_PYTHON", binary) if runtime.startswith("python") else binary), script


def apply() -> None:
    """Start every Python worker with LAMBDA_PYTHON."""
    wrap(lambda_runtime, "_detect_runtime_binary", _project_python)
