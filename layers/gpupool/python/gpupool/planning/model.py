"""Manifests, requests and plans."""

from dataclasses import dataclass, field
from enum import StrEnum

from gpupool.units.model import ParameterValue
from gpupool.wire.vocabulary import UnitKind, UnitRole


class Strategy(StrEnum):
    SINGLE = "single"
    SWEEP = "sweep"
    DAG = "dag"


class Goal(StrEnum):
    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"


@dataclass(frozen=True, slots=True)
class ManifestUnit:
    """One ``[[units]]`` table; None means: as the job asks."""

    name: str
    entry: str
    kind: UnitKind
    needs: tuple[str, ...] = ()
    parameters: dict[str, ParameterValue] = field(default_factory=dict)
    required_vram_mb: int | None = None
    required_disk_mb: int | None = None
    max_runtime_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """A package's ``gpu-agent.toml``, or what stands for it when there is none."""

    strategy: Strategy
    entry: str | None
    requirements: str | None = None
    parameters: dict[str, ParameterValue] = field(default_factory=dict)
    train_args: tuple[str, ...] = ()
    evaluate_entry: str | None = None
    objective: str | None = None
    goal: Goal | None = None
    # A sweep's parameter sets, grid already multiplied out, in a stable order.
    parameter_sets: tuple[dict[str, ParameterValue], ...] = ()
    units: tuple[ManifestUnit, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What a job asks of its package."""

    required_vram_mb: int
    required_disk_mb: int
    max_runtime_seconds: int
    parameters: dict[str, ParameterValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlannedUnit:
    """One unit of a plan; ``needs`` are indexes of units that come before it."""

    index: int
    name: str
    role: UnitRole
    kind: UnitKind
    needs: tuple[int, ...]
    entry: str | None
    parameters: dict[str, ParameterValue]
    args: tuple[str, ...]
    requirements: str | None
    objective: str | None
    goal: str | None
    required_vram_mb: int
    required_disk_mb: int
    max_runtime_seconds: int
    credits_max: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A DAG in topological order: every need has a smaller index."""

    strategy: Strategy
    units: tuple[PlannedUnit, ...]
