"""What a step tells the execution."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """Where the execution goes next."""

    PLAN = "plan"  # more units are to be written
    ADVANCE = "advance"  # wait until something happens
    TEND = "tend"  # go over the job's units
    RENEWED = "renewed"  # another execution goes on
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    CLOSING = "closing"  # more units are to be ended
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Step:
    """The state that travels from step to step. ``cursor``: how far a step that takes several goes has come; only that step
    reads it. ``steps`` counts them, so that an execution ends before its history is full."""

    outcome: Outcome
    cursor: str = ""
    steps: int = 0
