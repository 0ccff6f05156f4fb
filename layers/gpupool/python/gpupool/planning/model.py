"""Manifests, requests and plans."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import prod
from typing import overload

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
class Column:
    """One parameter of a grid and the values to try."""

    name: str
    values: tuple[ParameterValue, ...]


@dataclass(frozen=True, slots=True)
class ParameterSets:
    """What a sweep tries, in a stable order: ``listed``, or every combination of ``grid``, whose last column changes fastest.

    A grid is never multiplied out: its n-th set is counted from the columns.
    """

    grid: tuple[Column, ...] = ()
    listed: tuple[dict[str, ParameterValue], ...] = ()

    def __len__(self) -> int:
        return prod(len(column.values) for column in self.grid) if self.grid else len(self.listed)

    def __getitem__(self, number: int) -> dict[str, ParameterValue]:
        if not 0 <= number < len(self):
            raise IndexError(number)
        if not self.grid:
            return self.listed[number]
        chosen: list[ParameterValue] = []
        for column in reversed(self.grid):
            number, at = divmod(number, len(column.values))
            chosen.append(column.values[at])
        return {column.name: value for column, value in zip(self.grid, reversed(chosen), strict=True)}

    def __iter__(self) -> Iterator[dict[str, ParameterValue]]:
        return (self[number] for number in range(len(self)))

    @property
    def names(self) -> frozenset[str]:
        """The parameters that vary."""
        return frozenset(column.name for column in self.grid) | {name for each in self.listed for name in each}


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
    parameter_sets: ParameterSets = ParameterSets()
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
    """One unit of a plan; ``needs`` are the indexes of earlier units, ``dependents`` of those that need this one, ascending."""

    index: int
    name: str
    role: UnitRole
    kind: UnitKind
    needs: tuple[int, ...]
    dependents: tuple[int, ...]
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
class UnitGroup:
    """``count`` units of one plan that ask for the same and so cost the same."""

    count: int
    required_vram_mb: int
    max_runtime_seconds: int


class PlannedUnits(Sequence[PlannedUnit]):
    """The units of a plan by index. Each is made when it is asked for: 100,000 units take no more room than three."""

    def __init__(self, groups: tuple[UnitGroup, ...], make: Callable[[int], PlannedUnit]) -> None:
        self.groups = groups
        self._make = make
        self._count = sum(group.count for group in groups)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> PlannedUnit: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[PlannedUnit, ...]: ...
    def __getitem__(self, at: int | slice) -> PlannedUnit | tuple[PlannedUnit, ...]:
        indexes = range(self._count)[at]
        return self._make(indexes) if isinstance(indexes, int) else tuple(self._make(index) for index in indexes)


@dataclass(frozen=True, slots=True)
class Plan:
    """A DAG in topological order: every need has a smaller index."""

    strategy: Strategy
    units: PlannedUnits
