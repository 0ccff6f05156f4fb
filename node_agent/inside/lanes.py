"""The final model folder that package and select make of one lane of earlier units."""

import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .failure import NO_MODEL, UnitFailedError
from .folders import Folders
from .metrics import last_values, read_lines
from .pack import regular_files
from .spec import Need

MANIFEST = "MANIFEST.json"


@dataclass(frozen=True)
class Lane:
    """A train unit and the units that judged it; ``metrics`` are its last values, a later unit's over an earlier's."""

    needs: tuple[Need, ...]
    metrics: dict[str, float]


def lane_of(needs: Iterable[Need], folders: Folders) -> Lane:
    """The needs in the order in which they ran."""
    order = {"train": 0, "run": 1, "evaluate": 2}
    members = tuple(sorted(needs, key=lambda need: (order.get(need.role, 3), need.unit_name)))
    return Lane(members, _measured(members, folders))


def _measured(needs: Iterable[Need], folders: Folders) -> dict[str, float]:
    records = [record for need in needs for record in read_lines(folders.need(need.unit_name) / "metrics.jsonl")]
    return last_values(records)


def assemble_model(lane: Lane, folders: Folders) -> None:
    """Fills the model folder: the trained files as they were, ``reports/<unit>/`` of every unit, and MANIFEST.json.

    Raises UnitFailedError(NO_MODEL) when no unit of the lane left a model.
    """
    for need in lane.needs:
        _copy(folders.need(need.unit_name) / "model", folders.model)
    if not regular_files(folders.model):
        raise UnitFailedError(NO_MODEL, "No needed unit left a model to package.")
    for need in lane.needs:
        _copy(folders.need(need.unit_name) / "output", folders.model / "reports" / need.unit_name)
    (folders.model / MANIFEST).unlink(missing_ok=True)
    manifest = {
        "units": [{"name": need.unit_name, "role": need.role} for need in lane.needs],
        "metrics": lane.metrics,
        "files": [describe(name, path) for name, path in regular_files(folders.model)],
    }
    write_json(folders.model / MANIFEST, manifest)


def describe(name: str, path: Path) -> dict[str, object]:
    """One file as the platform lists it: name, size in bytes, SHA-256 in hex."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"path": name, "size_bytes": path.stat().st_size, "sha256": digest}


def write_json(path: Path, content: object) -> None:
    """Writes readable JSON with a stable order."""
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    for name, path in regular_files(source) if source.is_dir() else ():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target / name)
