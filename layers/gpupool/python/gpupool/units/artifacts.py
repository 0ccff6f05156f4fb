"""Artifacts: the files that ended units left behind. The units' rows name them, and nothing else does."""

from dataclasses import dataclass
from datetime import datetime

from gpupool import ids
from gpupool.pages import Key, Page
from gpupool.units.model import Unit, UnitStatus
from gpupool.units.rows import key_before
from gpupool.units.signing import output_key
from gpupool.units.store import UnitStore
from gpupool.wire.vocabulary import ArtifactKind

# Rows that one page reads at most. Units that left nothing are passed over, and a job may have 100,000 of them.
MOST_ROWS = 500
# A failed or rejected unit leaves its log. Whatever a cancelled one had was never judged.
_LEAVES = frozenset({UnitStatus.COMPLETED, UnitStatus.FAILED, UnitStatus.REJECTED})


@dataclass(frozen=True, slots=True)
class Artifact:
    """One stored file; ``key`` is its place in the bucket and never leaves the control plane."""

    id: str
    job_id: str
    unit_id: str
    kind: ArtifactKind
    name: str
    size_bytes: int
    sha256: str
    key: str
    created_at: datetime


def artifacts_of(unit: Unit) -> tuple[Artifact, ...]:
    """What the attempt that ended the unit left behind, by name; other attempts have left nothing in its row."""
    if unit.status not in _LEAVES:
        return ()
    return tuple(
        Artifact(
            id=ids.artifact_id(unit.id, output.name),
            job_id=unit.job_id,
            unit_id=unit.id,
            kind=output.kind,
            name=output.name,
            size_bytes=output.size_bytes,
            sha256=output.sha256,
            key=output_key(unit, output.name),
            created_at=unit.finished_at or unit.created_at,
        )
        for output in sorted(unit.outputs, key=lambda output: output.name)
    )


class Artifacts:
    """A job's artifacts, by unit and then by name."""

    def __init__(self, units: UnitStore, *, most_rows: int = MOST_ROWS) -> None:
        self._units = units
        self._most_rows = most_rows

    def get(self, job_id: str, artifact_id: str) -> Artifact | None:
        """None also for what is no artifact's id, or one of another job; neither is looked up."""
        unit_id = ids.unit_of(artifact_id)
        unit = self._units.get(unit_id) if ids.job_of(unit_id) == job_id else None
        left = artifacts_of(unit) if unit is not None else ()
        return next((artifact for artifact in left if artifact.id == artifact_id), None)

    def page(self, job_id: str, *, limit: int, key: Key | None) -> Page[Artifact]:
        """At most ``limit``. It may be fewer or none although there is a next key: after so many rows it is enough.

        The key names the unit that was read last, or the artifact, when its unit left more than the page takes.
        """
        last = key.get("artifact_id", "") if key else ""
        key = key_before(ids.unit_of(last)) if last else key
        found: list[Artifact] = []
        rows, size = self._most_rows, limit
        while rows:
            units = self._units.page(job_id, limit=min(size, rows), key=key)
            found += (artifact for unit in units.items for artifact in artifacts_of(unit) if artifact.id > last)
            if len(found) > limit:
                return Page(tuple(found[:limit]), {"job_id": job_id, "artifact_id": found[limit - 1].id})
            key = units.next_key
            if key is None or len(found) == limit:
                break
            rows -= len(units.items)
            size *= 2
        return Page(tuple(found), key)
