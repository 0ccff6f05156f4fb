"""Corrections to the pinned emulator, one module each.

Every module names what AWS documents, what the emulator does and what the correction does, and has a test in
`tests/local` that states the documented behaviour. They touch the emulator's private functions, which carry no
types: `Any` stands for its records throughout.
"""

from local.emulator.patches import (
    execution_timeout,
    handler_errors,
    handler_logs,
    project_python,
    resume_executions,
    root_key,
    start_idempotency,
    stream_mappings,
    stream_persistence,
    task_callbacks,
)

_IN_ORDER = (
    root_key,
    project_python,
    handler_logs,
    handler_errors,
    stream_mappings,
    stream_persistence,
    start_idempotency,
    task_callbacks,
    execution_timeout,
    resume_executions,
)


def apply_all() -> None:
    """Apply every correction, once, before the emulator serves its first request."""
    for patch in _IN_ORDER:
        patch.apply()
