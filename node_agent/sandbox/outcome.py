"""From how a unit ended to what is reported about it. Pure: everything it looks at was measured before."""

from dataclasses import dataclass

from gpupool.wire.failures import FailureCode
from node_agent.sandbox.collect import Result
from node_agent.sandbox.sandbox import Limits, OutcomeStatus, UnitOutcome
from node_agent.sandbox.watch import StopReason

_KILLED = 137


@dataclass(frozen=True, kw_only=True)
class Ending:
    """The facts of one ended unit. ``greeted``: the program inside was reached, so the sandbox had been built.

    ``runs_script``: a stranger's code ran, so anything that went wrong inside may be its doing.
    """

    runs_script: bool
    stopped: StopReason | None
    greeted: bool
    exit_code: int
    result: Result | None
    oversized: bool = False
    kernel_killed_for_memory: bool = False
    kernel_refused_processes: bool = False
    first_words: str = ""
    runtime_seconds: float = 0.0
    peak_memory_mb: int = 0


def outcome_of(ending: Ending, limits: Limits) -> UnitOutcome:
    """What to report. A reason of the agent's own outranks whatever the unit says about itself."""
    if ending.stopped is StopReason.CANCELLED:
        return _outcome(ending, OutcomeStatus.CANCELLED, message="The unit was cancelled.")
    if ending.stopped is not None:
        code, message = _broken_bound(ending.stopped, limits)
        return _outcome(ending, OutcomeStatus.FAILED, code=code, message=message)
    if not ending.greeted:
        message = f"The sandbox could not be built: {ending.first_words[-400:]}"
        return _outcome(ending, OutcomeStatus.FAILED, code=FailureCode.SANDBOX_FAILED, message=message)
    if ending.oversized:
        message = f"The unit's output is larger than {limits.output_bytes} bytes."
        return _outcome(ending, OutcomeStatus.FAILED, code=FailureCode.OUTPUT_TOO_LARGE, message=message)
    if ending.result is not None and ending.result.code is None:
        return _outcome(ending, OutcomeStatus.SUCCEEDED)
    code, message = _own_failure(ending, limits)
    return _outcome(ending, OutcomeStatus.FAILED, code=code, message=message)


def _own_failure(ending: Ending, limits: Limits) -> tuple[FailureCode, str]:
    """The cause of a failure that the unit reports or dies of; the kernel's counters know better than its last words."""
    if ending.kernel_killed_for_memory:
        return _broken_bound(StopReason.MEMORY, limits)
    if ending.kernel_refused_processes:
        return _broken_bound(StopReason.PROCESSES, limits)
    if ending.result is not None and ending.result.code is not None:
        return ending.result.code, ending.result.message
    if ending.exit_code == _KILLED:
        return _broken_bound(StopReason.MEMORY, limits)
    code = FailureCode.SCRIPT_FAILED if ending.runs_script else FailureCode.INTERNAL
    return code, "The unit ended without a result."


def _broken_bound(reason: StopReason, limits: Limits) -> tuple[FailureCode, str]:
    return {
        StopReason.TIME: (FailureCode.TIMED_OUT, f"The unit ran longer than {limits.wall_seconds:g} seconds."),
        StopReason.LOG: (FailureCode.LOG_LIMIT_EXCEEDED, f"The unit printed more than {limits.log_bytes} bytes."),
        StopReason.MEMORY: (FailureCode.OUT_OF_MEMORY, f"The unit used more than {limits.memory_mb} MB of memory."),
        StopReason.PROCESSES: (
            FailureCode.PROCESS_LIMIT_EXCEEDED,
            f"The unit started more than {limits.processes} processes and threads.",
        ),
        StopReason.DISK: (
            FailureCode.DISK_FULL,
            f"The unit wrote more than {limits.disk_mb} MB, more files than can be counted, or into a closed folder.",
        ),
        StopReason.CANCELLED: (FailureCode.INTERNAL, "The unit was cancelled."),
    }[reason]


def _outcome(ending: Ending, status: OutcomeStatus, *, code: FailureCode | None = None, message: str = "") -> UnitOutcome:
    result = ending.result
    succeeded = status is OutcomeStatus.SUCCEEDED and result is not None
    return UnitOutcome(
        status=status,
        code=code,
        message=message,
        exit_code=result.exit_code if result is not None else ending.exit_code,
        artifacts=result.artifacts if succeeded and result is not None else (),
        metrics=result.metrics if succeeded and result is not None else {},
        runtime_seconds=ending.runtime_seconds,
        peak_memory_mb=ending.peak_memory_mb,
    )
