"""What a step tells the execution, and what an execution tells of itself."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Outcome(StrEnum):
    """Where the execution goes next."""

    PLAN = "plan"  # more units are to be written
    ADVANCE = "advance"  # wait until something happens
    WATCH = "watch"  # likewise, but look again soon
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
    reads it. ``steps`` counts them, so that an execution ends before its history is full. ``generation`` is that of the
    execution, None where nobody said."""

    outcome: Outcome
    cursor: str = ""
    steps: int = 0
    generation: int | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One execution, by whatever name it was started; ``ended_at`` is None while it runs."""

    ended_at: datetime | None = None
