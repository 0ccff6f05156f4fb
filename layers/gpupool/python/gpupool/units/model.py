"""A compute unit and its states.

waiting ──needs met──► queued ──claim──► running ──complete──► completed
                         ▲                 │ │
                         └──fail, retry────┘ └──fail for good──► failed
any state that is not final ──cancel──► cancelled         (validating, rejected: results of unvetted nodes)
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gpupool.wire.failures import Blame, FailureCode
from gpupool.wire.vocabulary import ArtifactKind, CapabilityClass, UnitKind, UnitRole

ParameterValue = str | int | float | bool


class UnitStatus(StrEnum):
    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    VALIDATING = "validating"
    COMPLETED = "completed"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


FINAL = frozenset({UnitStatus.COMPLETED, UnitStatus.FAILED, UnitStatus.REJECTED, UnitStatus.CANCELLED})


class Pool(StrEnum):
    """Which machines may run a unit."""

    PUBLIC = "public"
    CONTROLLED = "controlled"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something ended without a result: a closed code, who must act, and a sentence."""

    code: FailureCode
    blame: Blame
    message: str
    unit_id: str | None = None
    attempt: int | None = None
    exit_code: int | None = None
    log_tail: str = ""


@dataclass(frozen=True, slots=True)
class LeaseState:
    """Who works on the current attempt and until when; ``bell`` is the mark of the doorway that led here.

    The doorway itself is half a kilobyte, which every write of the row would pay for. Whoever came through it knows it.
    """

    token: str
    node_id: str
    node_name: str
    expires_at: datetime
    # Fixed at the claim: no heartbeat renews the lease beyond it, or a node that beats for ever would keep the unit for ever.
    deadline: datetime
    bell: str


@dataclass(frozen=True, slots=True)
class NodeFault:
    """How often a node has failed a unit by its own doing, and when it last did. A node's first drain counts as none."""

    node_id: str
    failures: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Output:
    """A file that a unit left behind, as the bucket keeps it; ``size_bytes`` and ``sha256`` are those of its content."""

    name: str
    kind: ArtifactKind
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What to run and what it needs; fixed when the job was planned."""

    role: UnitRole
    kind: UnitKind
    entry: str | None = None
    parameters: dict[str, ParameterValue] = field(default_factory=dict)
    args: tuple[str, ...] = ()
    requirements: str | None = None
    objective: str | None = None
    goal: str | None = None
    required_vram_mb: int
    required_disk_mb: int
    max_runtime_seconds: int


@dataclass(frozen=True, slots=True)
class Unit:
    """One row of ``units``. ``needs``, ``dependents`` and ``gathered_by`` hold unit indexes within the job.

    So does ``open_needs``, unless the unit *gathers*: with many needs it keeps gates open instead, each of which stands for a
    stretch of them (see ``units.edges``), or every completed need would write a row as long as all of them.
    """

    id: str
    job_id: str
    customer_id: str
    index: int
    name: str
    status: UnitStatus
    pool: Pool
    capability: CapabilityClass
    work: Work
    needs: tuple[int, ...]
    dependents: tuple[int, ...]
    open_needs: frozenset[int]
    credits_max: int
    created_at: datetime
    # Dependents that gather.
    gathered_by: tuple[int, ...] = ()
    attempt: int = 0
    max_attempts: int = 3
    lease: LeaseState | None = None
    progress_fraction: float | None = None
    progress_stage: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    queued_at: datetime | None = None
    # When its bell was last rung for want of an answer; a change of it rings again.
    rung_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    runtime_seconds: float | None = None
    peak_memory_mb: int | None = None
    credits: int = 0
    failure: Failure | None = None
    # What it left when it ended. The write that ends a unit tells all of it, and nothing else does: see ``units.artifacts``.
    outputs: tuple[Output, ...] = ()
    # The public name of the last node that worked on it; node ids stay inside.
    node_name: str | None = None
    # Fence of the accepted report, so that its repeat can be told from a late one.
    completed_by: str | None = None
    # Nodes that failed it by their own doing, the latest last; they are passed over for a while.
    faults: tuple[NodeFault, ...] = ()
    version: int = 1

    @property
    def is_final(self) -> bool:
        return self.status in FINAL


@dataclass(frozen=True, slots=True)
class Worker:
    """The machine that asks: what it has, and the queues it may be rung by."""

    node_id: str
    node_name: str
    vram_mb: int
    disk_free_mb: int
    queue_urls: frozenset[str]
