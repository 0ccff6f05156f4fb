"""Why a unit failed, as a closed vocabulary: each cause names who can do something about it and how often to try."""

from enum import StrEnum


class Blame(StrEnum):
    """Who has to act before the same work can succeed."""

    USER = "user"
    NODE = "node"
    PLATFORM = "platform"


class FailureCode(StrEnum):
    """Machine-readable causes. Customers program against these words: add, never rename."""

    SCRIPT_FAILED = "SCRIPT_FAILED"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    TIMED_OUT = "TIMED_OUT"
    NO_MODEL = "NO_MODEL"
    LOG_LIMIT_EXCEEDED = "LOG_LIMIT_EXCEEDED"
    OUTPUT_TOO_LARGE = "OUTPUT_TOO_LARGE"
    PROCESS_LIMIT_EXCEEDED = "PROCESS_LIMIT_EXCEEDED"
    PACKAGE_INVALID = "PACKAGE_INVALID"
    DATASET_MISMATCH = "DATASET_MISMATCH"
    ENVIRONMENT_FAILED = "ENVIRONMENT_FAILED"
    DISK_FULL = "DISK_FULL"
    INPUT_UNAVAILABLE = "INPUT_UNAVAILABLE"
    INPUT_CORRUPT = "INPUT_CORRUPT"
    SANDBOX_FAILED = "SANDBOX_FAILED"
    UPLOAD_FAILED = "UPLOAD_FAILED"
    LEASE_EXPIRED = "LEASE_EXPIRED"
    NODE_DRAINED = "NODE_DRAINED"
    PLANNING_FAILED = "PLANNING_FAILED"
    DISPATCH_FAILED = "DISPATCH_FAILED"
    INTERNAL = "INTERNAL"


_NODE_FAULTS = frozenset(
    {
        FailureCode.INPUT_UNAVAILABLE,
        FailureCode.INPUT_CORRUPT,
        FailureCode.SANDBOX_FAILED,
        FailureCode.UPLOAD_FAILED,
        FailureCode.LEASE_EXPIRED,
        FailureCode.NODE_DRAINED,
    }
)
_PLATFORM_FAULTS = frozenset({FailureCode.PLANNING_FAILED, FailureCode.DISPATCH_FAILED, FailureCode.INTERNAL})

# A cause that another machine cannot change ends the unit at once; a crash may be the machine's doing, so it gets one more try.
_ENDS_AT_ONCE = frozenset(
    {
        FailureCode.TIMED_OUT,
        FailureCode.NO_MODEL,
        FailureCode.LOG_LIMIT_EXCEEDED,
        FailureCode.OUTPUT_TOO_LARGE,
        FailureCode.PROCESS_LIMIT_EXCEEDED,
        FailureCode.PACKAGE_INVALID,
        FailureCode.DISK_FULL,
    }
)
_ATTEMPTS_AFTER_USER_FAULT = 2


def blame_of(code: FailureCode) -> Blame:
    """Who has to act on ``code``."""
    if code in _NODE_FAULTS:
        return Blame.NODE
    return Blame.PLATFORM if code in _PLATFORM_FAULTS else Blame.USER


def speaks_of_the_machine(code: FailureCode) -> bool:
    """Whether another machine should come first at the next attempt. A digest that does not fit is the user's fault only
    when a second machine finds the same."""
    return blame_of(code) is not Blame.USER or code is FailureCode.DATASET_MISMATCH


def may_retry(code: FailureCode, *, attempt: int, max_attempts: int) -> bool:
    """Whether a unit that failed with ``code`` on its ``attempt``-th claim is offered again."""
    if code in _ENDS_AT_ONCE:
        return False
    allowed = max_attempts if blame_of(code) is not Blame.USER else min(max_attempts, _ATTEMPTS_AFTER_USER_FAULT)
    return attempt < allowed
