"""What a step tells the execution."""

from enum import StrEnum


class Outcome(StrEnum):
    """Where the execution goes next."""

    ADVANCE = "advance"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
