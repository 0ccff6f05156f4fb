"""A training job and its states: queued → planning → running → completed | failed | cancelled."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gpupool.units.model import Failure, ParameterValue


class JobStatus(StrEnum):
    QUEUED = "queued"
    PLANNING = "planning"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


LIVE = frozenset({JobStatus.QUEUED, JobStatus.PLANNING, JobStatus.RUNNING})


class Sensitivity(StrEnum):
    """Who may see the data: any trusted-enough node, controlled nodes only, or the customer's own."""

    PUBLIC = "public"
    LOW_SENSITIVE = "low_sensitive"
    PRIVATE = "private"


@dataclass(frozen=True, slots=True)
class Source:
    """A snapshot of an upload, taken at submit: later changes of the upload cannot reach the job."""

    id: str
    name: str
    content_type: str
    key: str
    sha256: str
    size_bytes: int
    # False: nobody has checked the digest yet; the machine that fetches the bytes is the first to do so.
    proven: bool = True


@dataclass(frozen=True, slots=True)
class QuoteLine:
    """What the units of one capability class can cost at most."""

    capability: str
    units: int
    credits: int


@dataclass(frozen=True, slots=True)
class Quote:
    """The most a job can cost; billed never exceeds it. Stored with the job."""

    credits: int
    lines: tuple[QuoteLine, ...] = ()


@dataclass(frozen=True, slots=True)
class ReleaseWindow:
    """How far the units of a wide job are released. All of it is a hint: a round goes over the rows and decides by them.

    Every unit before ``low`` is completed but the ``stragglers``, and completed ones opened none beyond ``reach`` by
    themselves. ``high`` is the first unit that is ready and held back, None when none is, and ``held`` are the capability
    classes of all that are. The next ones are released when ``refill_at`` units are paid. ``met``: the fan-outs whose
    dependents are being released. ``whole_at``: when a round last went over every unit.
    """

    low: int
    reach: int
    refill_at: int
    whole_at: datetime
    high: int | None = None
    held: frozenset[str] = frozenset()
    stragglers: frozenset[int] = frozenset()
    met: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Job:
    """One row of ``jobs``. ``task_token`` is the execution's current wait; it never leaves the control plane."""

    id: str
    customer_id: str
    name: str
    status: JobStatus
    dataset: Source
    package: Source
    required_vram_mb: int
    required_disk_mb: int
    max_runtime_seconds: int
    sensitivity: Sensitivity
    quote: Quote
    created_at: datetime
    parameters: dict[str, ParameterValue] = field(default_factory=dict)
    units_total: int = 0
    units_completed: int = 0
    credits_spent: int = 0
    # When a unit was paid last; kept while the job is live.
    progressed_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    failure: Failure | None = None
    task_token: str | None = None
    # Orders the execution's waits; see JobStore.park.
    parked_at: str | None = None
    # Which of the job's executions drives it; a long one goes on as the next.
    generation: int = 0
    # The first failure of a unit for good; it ends the job.
    broken: Failure | None = None
    # Completed units with more dependents than the outbox opens by itself; the execution's next round opens them.
    fan_outs: frozenset[int] = frozenset()
    # None as long as every unit that was ready could be released at once.
    window: ReleaseWindow | None = None
    # From here on no unit may be added: what ends a job goes over its units once.
    closing: bool = False

    @property
    def is_live(self) -> bool:
        return self.status in LIVE
