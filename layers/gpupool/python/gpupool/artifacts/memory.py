"""Artifacts in memory."""

from gpupool.artifacts.model import Artifact
from gpupool.ids import job_of
from gpupool.pages import Key, Page
from gpupool.world import World


class MemoryArtifactStore:
    def __init__(self, world: World) -> None:
        self._world = world

    def get(self, job_id: str, artifact_id: str) -> Artifact | None:
        return self._world.artifacts.get(job_id, {}).get(artifact_id)

    def of_unit(self, unit_id: str) -> tuple[Artifact, ...]:
        return tuple(artifact for artifact in self._sorted(job_of(unit_id)) if artifact.unit_id == unit_id)

    def of_units(self, first_id: str, last_id: str) -> tuple[Artifact, ...]:
        return tuple(artifact for artifact in self._sorted(job_of(first_id)) if first_id <= artifact.unit_id <= last_id)

    def page(self, job_id: str, *, limit: int, key: Key | None) -> Page[Artifact]:
        after = key["artifact_id"] if key else ""
        rows = [artifact for artifact in self._sorted(job_id) if artifact.id > after]
        last = rows[limit - 1] if len(rows) > limit else None
        return Page(tuple(rows[:limit]), {"job_id": job_id, "artifact_id": last.id} if last else None)

    def _sorted(self, job_id: str) -> list[Artifact]:
        with self._world.lock:
            return [artifact for _, artifact in sorted(self._world.artifacts.get(job_id, {}).items())]
