"""The port through which the agent runs a stranger's unit: what goes in, what may happen, what comes out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from gpupool.wire.failures import FailureCode
from gpupool.wire.vocabulary import ArtifactKind, UnitRole

OnOutput = Callable[[bytes], None]


@dataclass(frozen=True)
class NeedFile:
    """One verified download of a needed unit: ``name`` as that unit yielded it, ``path`` where it lies on this host."""

    name: str
    path: Path


@dataclass(frozen=True)
class NeedInput:
    """What an earlier unit yielded and this one reads."""

    unit_name: str
    role: UnitRole
    files: tuple[NeedFile, ...] = ()


@dataclass(frozen=True, kw_only=True)
class UnitSpec:
    """What to run. Reaches the program inside as ``/opt/ml/input/config/unit.json``, without any path of this host."""

    role: UnitRole
    entry: str | None = None
    parameters: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    args: tuple[str, ...] = ()
    objective: str | None = None
    goal: str | None = None
    dataset_name: str = "dataset"
    dataset_content_type: str = "application/octet-stream"
    needs: tuple[NeedInput, ...] = ()
    # Of the role select: what its needs, the best lane, were chosen from.
    selection: Mapping[str, object] | None = None
    has_gpu: bool = False


@dataclass(frozen=True, kw_only=True)
class UnitFiles:
    """Where the unit's bytes lie.

    ``root`` is an empty folder of this attempt alone, outside every cache; the sandbox writes below it and nothing else
    does. ``package`` and ``dataset`` are verified downloads and stay unopened on this side. ``environment`` comes from
    ``node_agent.environments``; the platform's own roles run without one.
    """

    root: Path
    package: Path
    dataset: Path | None = None
    environment: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds on one unit. Hitting one ends the unit with the failure code that names it."""

    wall_seconds: float
    memory_mb: int
    disk_mb: int
    processes: int
    log_bytes: int
    output_bytes: int
    cpu_count: int | None = None


class OutcomeStatus(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class OutputFile:
    """A finished artifact on this host: a regular file with a name from a closed set, safe to open and upload."""

    name: str
    kind: ArtifactKind
    path: Path


@dataclass(frozen=True, kw_only=True)
class UnitOutcome:
    """How a unit ended. ``code`` is set exactly when ``status`` is FAILED; ``metrics`` are the last values by name."""

    status: OutcomeStatus
    code: FailureCode | None = None
    message: str = ""
    exit_code: int | None = None
    artifacts: tuple[OutputFile, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    runtime_seconds: float = 0.0
    peak_memory_mb: int = 0


@dataclass(frozen=True, kw_only=True)
class Usage:
    """The newest sample of a running unit; zeros before the first one."""

    memory_mb: int = 0
    peak_memory_mb: int = 0
    disk_mb: int = 0
    processes: int = 0


class RunningUnit(Protocol):
    """A unit in flight. When ``wait`` has given an outcome, no process of the unit is left on the host."""

    def wait(self, timeout: float | None = None) -> UnitOutcome | None:
        """The outcome, or None when ``timeout`` seconds passed first. May be called again, also after the end."""
        ...

    def cancel(self) -> None:
        """Asks the unit to end: SIGTERM, a short grace, then SIGKILL for all of it. Returns at once; repeatable."""
        ...

    def usage(self) -> Usage: ...


class Sandbox(Protocol):
    """Runs units so that they can hurt neither the host nor each other."""

    def check(self) -> list[str]:
        """What keeps this host from isolating strangers, as sentences that say how to fix it. Empty: ready."""
        ...

    def start(self, spec: UnitSpec, files: UnitFiles, *, limits: Limits, on_output: OnOutput) -> RunningUnit:
        """Starts the unit and returns at once. ``on_output`` is called from another thread with raw log bytes.

        Whatever goes wrong afterwards is an outcome, never an exception: a sandbox that cannot be built ends as
        SANDBOX_FAILED.
        """
        ...

    def destroy(self, root: Path) -> None:
        """Removes an attempt's folder, whatever its unit left there. Only after ``wait`` gave an outcome."""
        ...
