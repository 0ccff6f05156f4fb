"""What recovery looks for, what it knows when it decides, and what it tells."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Finding(StrEnum):
    """What should never be. Each is a metric of that name, and an alarm; how it is repaired stands beside it."""

    JOB_WITHOUT_EXECUTION = "job_without_execution"  # started, if it never was; else another one closes the job
    QUEUED_WITHOUT_MESSAGE = "queued_without_message"  # rung for again; failed after a day
    LEASE_WITHOUT_NODE = "lease_without_node"  # queued again while attempts are left; failed otherwise
    READY_NOT_RELEASED = "ready_not_released"  # queued
    COMPLETED_WITHOUT_DEBIT = "completed_without_debit"  # paid, and all that follows from it
    NEED_NOT_OPENED = "need_not_opened"  # opened, though it was paid already
    CHANGE_WITHOUT_EVENT = "change_without_event"  # the job's event is written
    EVENT_WITHOUT_DELIVERY = "event_without_delivery"  # the endpoint's delivery is made
    HOLD_WITHOUT_JOB = "hold_without_job"  # by people: nothing here moves credits without a job's own step


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a unit's own row cannot tell. A default is what one assumes who did not ask, and accuses nobody."""

    # Messages in the unit's queue, hidden ones and dead letters included.
    bells: int | None = None
    # When the last of its needs was completed; of a unit without needs, when its job started.
    ready_since: datetime | None = None
    # Whether its debit was posted.
    paid: bool = True
    # Whether a unit that needs it still waits for it.
    awaited: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """One case. ``about`` is the id of the job, the unit, the event or the customer that it concerns."""

    finding: Finding
    about: str
    job_id: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """One run: of ``watched`` jobs it looked at ``looked_at``, and ``failed`` is how many looks, also at holds, broke off."""

    watched: int
    looked_at: int
    failed: int
    found: tuple[Found, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind, without those of which there were none."""
        return {str(kind): count for kind, count in sorted(Counter(each.finding for each in self.found).items())}
