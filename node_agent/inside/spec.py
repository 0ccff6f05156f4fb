"""Reading ``unit.json``: what the agent, which is trusted here, asks this program to do."""

import json
from dataclasses import dataclass
from pathlib import Path

PLATFORM_ROLES = frozenset({"prepare", "package", "select"})

Scalar = str | int | float | bool


@dataclass(frozen=True)
class Need:
    unit_name: str
    role: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Bounds:
    """The limits this program applies itself: per-process ones, and those on what it reads and writes."""

    memory_bytes: int
    disk_bytes: int
    output_bytes: int
    processes: int
    cpu_count: int


@dataclass(frozen=True)
class Spec:
    role: str
    entry: str | None
    parameters: dict[str, Scalar]
    args: tuple[str, ...]
    objective: str | None
    goal: str | None
    dataset_name: str
    dataset_content_type: str
    has_dataset: bool
    needs: tuple[Need, ...]
    selection: dict[str, object] | None
    has_gpu: bool
    python: str
    bounds: Bounds


def read_spec(path: Path) -> Spec:
    """Reads the agent's file; a malformed one raises, because then the two programs are of different versions."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    needs = tuple(Need(need["unit_name"], need["role"], tuple(need["files"])) for need in raw.pop("needs"))
    return Spec(**{**raw, "args": tuple(raw["args"]), "needs": needs, "bounds": Bounds(**raw["bounds"])})
