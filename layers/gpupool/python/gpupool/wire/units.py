"""Claiming a unit, keeping it, and reporting how it ended."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from gpupool.wire.base import Message, Metrics, UnitId
from gpupool.wire.failures import FailureCode
from gpupool.wire.vocabulary import ArtifactKind, UnitKind, UnitRole

MOST_NAMED_NEEDS = 50
# A hint, never a reason to refuse: without it the bell rings once more, and its next hearer is told that nobody is needed.
_HIDES = "the doorway of the claim; its message stays hidden as long as the lease"
_SILENCES = "the doorway of the claim; its message is deleted once the report is taken"


class Doorway(Message):
    """Which queue message led to a call, so that the control plane can hide or delete it. The agent cannot."""

    queue_url: str = Field(max_length=1024)
    receipt_handle: str = Field(max_length=4096)


class ClaimRequest(Message):
    """``POST /api/v1/node/units/{unit_id}/claim``. Body of ``decline`` too: that makes the message visible at once."""

    doorway: Doorway
    pages: bool = Field(
        default=False, description="the agent asks for needs beyond a first page; others get no unit with so many"
    )


class Download(Message):
    """Bytes to fetch by content: the agent checks ``sha256`` (hex) and caches by it.

    ``declared_as`` is set when the digest is its owner's word and nobody has checked it: the id of what it was declared for.
    Such bytes are cached apart from all others. A digest alone must not open what somebody else's unit has fetched.
    """

    url: str
    sha256: str
    size_bytes: int
    declared_as: str | None = None


class DatasetInput(Message):
    name: str
    content_type: str
    download: Download


class NeedOutput(Message):
    """One artifact of a unit that this one needs."""

    name: str
    kind: ArtifactKind
    download: Download


class NeedInput(Message):
    unit_name: str
    role: UnitRole
    outputs: list[NeedOutput]
    unit_id: str = ""
    measured: float | None = Field(default=None, description="the last value of the objective of the unit that needs this one")


class Limits(Message):
    """Bounds the sandbox enforces; a unit that hits one ends with the matching failure code."""

    wall_seconds: int
    memory_mb: int
    disk_mb: int
    processes: int
    log_bytes: int
    output_bytes: int


class UnitGrant(Message):
    """A lease: the right to work on one attempt of one unit until ``lease_expires_at``, renewed by heartbeats."""

    unit_id: str
    job_id: str
    name: str
    role: UnitRole
    kind: UnitKind
    attempt: int
    lease_token: str
    lease_expires_at: datetime
    required_vram_mb: int
    entry: str | None = Field(description="path inside the package; None for the platform's own roles")
    parameters: dict[str, str | int | float | bool] = Field(default_factory=dict)
    args: list[str] = Field(default_factory=list)
    requirements: str | None = Field(default=None, description="path of the requirements file inside the package")
    objective: str | None = None
    goal: str | None = None
    package: Download
    dataset: DatasetInput
    needs: list[NeedInput] = Field(default_factory=list, description="a first page; for the role select without outputs")
    more_needs: str | None = Field(default=None, description="a cursor for the next page; None: these are all")
    limits: Limits


class Lease(Message):
    """Proof of holding one attempt; every report carries it and a stale one is refused."""

    attempt: int = Field(ge=1)
    lease_token: str = Field(max_length=64)


class InputsRequest(Message):
    """``POST /api/v1/node/units/{unit_id}/inputs``: the URLs of a grant live minutes, a large download takes longer, and a
    grant holds no more than a first page of needs.
    """

    lease: Lease
    cursor: str | None = Field(default=None, pattern=r"^[0-9]{1,6}$", description="``more_needs`` of the page before")
    only: list[UnitId] | None = Field(default=None, max_length=MOST_NAMED_NEEDS, description="these needs instead of a page")
    outputs: bool = Field(default=True, description="False: no outputs, on larger pages")


class InputsResponse(Message):
    """The inputs of the held unit with fresh URLs: the needs that were asked for, without cursor the first page again."""

    package: Download
    dataset: DatasetInput
    needs: list[NeedInput]
    more_needs: str | None = None


class Progress(Message):
    """Where a running unit stands; kept on its row, newest wins."""

    fraction: float | None = Field(default=None, ge=0, le=1)
    stage: str = Field(default="", max_length=40, description="fetching, building environment, running, uploading")
    metrics: Metrics = Field(default_factory=dict, description="latest value by name; what cannot be stored is dropped")


class LogChunk(Message):
    """A piece of a running unit's log that waits at the agent; the answer says where to put exactly these bytes."""

    seq: int = Field(ge=0, lt=1_000_000)
    size_bytes: int = Field(ge=1, le=262_144)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class RunningUnit(Message):
    unit_id: UnitId
    lease: Lease
    doorway: Doorway | None = Field(default=None, description=_HIDES)
    # Seconds since the claim by the machine's own clock. The older an attempt, the longer its leases.
    age_seconds: int = Field(default=0, ge=0)
    progress: Progress = Progress()
    log_chunk: LogChunk | None = None


class HeartbeatRequest(Message):
    """``POST /api/v1/node/heartbeat``: one call for the whole node renews every lease it holds."""

    units: list[RunningUnit] = Field(default_factory=list, max_length=64)
    draining: bool = False
    last_poll_ok_at: datetime | None = Field(default=None, description="an agent that lives but no longer polls is not well")


class Upload(Message):
    """A presigned request; send exactly ``headers``, they are part of the signature."""

    method: str = "PUT"
    url: str
    headers: dict[str, str]


class UnitVerdict(StrEnum):
    """What to do with a running unit."""

    CONTINUE = "continue"
    CANCEL = "cancel"
    LEASE_LOST = "lease_lost"


class UnitInstruction(Message):
    """Answer per unit. CANCEL and LEASE_LOST: kill the work and do not report it."""

    unit_id: str
    verdict: UnitVerdict
    lease_expires_at: datetime | None = None
    # From the answer on, for machines whose clock is wrong.
    lease_seconds: int | None = None
    log_upload: Upload | None = None


class HeartbeatResponse(Message):
    units: list[UnitInstruction]
    heartbeat_seconds: int


class OutputFile(Message):
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    kind: ArtifactKind
    size_bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


def _distinct(files: list[OutputFile]) -> list[OutputFile]:
    if len({file.name for file in files}) < len(files):
        raise ValueError("each file may be named once")
    return files


OutputFiles = Annotated[list[OutputFile], AfterValidator(_distinct)]


class OutputsRequest(Message):
    """``POST /api/v1/node/units/{unit_id}/outputs``: asks for presigned uploads of exactly these bytes."""

    lease: Lease
    files: OutputFiles = Field(min_length=1, max_length=16)


class OutputsResponse(Message):
    uploads: dict[str, Upload] = Field(description="by file name")


class CompleteRequest(Message):
    """``POST /api/v1/node/units/{unit_id}/complete``. Repeating it with the same lease answers the same."""

    lease: Lease
    doorway: Doorway | None = Field(default=None, description=_SILENCES)
    outputs: OutputFiles = Field(max_length=16)
    metrics: Metrics = Field(default_factory=dict)
    runtime_seconds: float = Field(ge=0, allow_inf_nan=False)
    peak_memory_mb: int = Field(default=0, ge=0)


# Causes that only the control plane can know. From a node they would end a unit at once, or blame the platform for it.
_NOT_A_NODES_TO_SAY = frozenset({FailureCode.PLANNING_FAILED, FailureCode.DISPATCH_FAILED, FailureCode.LEASE_EXPIRED})


def _a_nodes_to_say(code: FailureCode) -> FailureCode:
    if code in _NOT_A_NODES_TO_SAY:
        raise ValueError("the control plane alone says this; name what happened on this machine")
    return code


class FailRequest(Message):
    """``POST /api/v1/node/units/{unit_id}/fail``."""

    lease: Lease
    doorway: Doorway | None = Field(default=None, description=_SILENCES)
    code: Annotated[FailureCode, AfterValidator(_a_nodes_to_say)]
    message: str = Field(max_length=1000)
    log_tail: str = Field(default="", max_length=8000)
    exit_code: int | None = None
    outputs: OutputFiles = Field(default_factory=list, max_length=16, description="the log, when it could be uploaded")
    runtime_seconds: float = Field(default=0, ge=0, allow_inf_nan=False)


class ReportResponse(Message):
    """``accepted`` is False when the report was a late repeat; either way the work is over for this node."""

    unit_id: str
    status: str
    accepted: bool = True
