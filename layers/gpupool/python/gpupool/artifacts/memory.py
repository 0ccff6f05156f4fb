"""Artifacts in memory."""

from gpupool.artifacts.model import Artifact
from gpupool.ids import job_of, unit_of
from gpupool.pages import Key, Page
from gpupool.world import World


class MemoryArtifactStore:
    def __init__(self, world: World) -> None:
        self._world = world

    def put(self, artifacts: tuple[Artifact, ...]) -> None:
        with self._world.lock:
            for artifact in artifacts:
                shelves = self._world.artifacts.setdefault(artifact.job_id, {})
                shelves.setdefault(artifact.unit_id, {})[artifact.id] = artifact

    def get(self, job_id: str, artifact_id: str) -> Artifact | None:
        return self._world.artifacts.get(job_id, {}).get(unit_of(artifact_id), {}).get(artifact_id)

    def of_unit(self, unit_id: str) -> tuple[Artifact, ...]:
        with self._world.lock:
            return _sorted(self._world.artifacts.get(job_of(unit_id), {}).get(unit_id, {}))

    def of_units(self, first_id: str, last_id: str) -> tuple[Artifact, ...]:
        if first_id == last_id:
            return self.of_unit(first_id)
        with self._world.lock:
            shelves = self._world.artifacts.get(job_of(first_id), {})
            between = sorted(unit_id for unit_id in shelves if first_id <= unit_id <= last_id)
            return tuple(artifact for unit_id in between for artifact in _sorted(shelves[unit_id]))

    def page(self, job_id: str, *, limit: int, key: Key | None) -> Page[Artifact]:
        after = key["artifact_id"] if key else ""
        with self._world.lock:
            shelves = self._world.artifacts.get(job_id, {})
            artifacts = [artifact for unit_id in sorted(shelves) for artifact in _sorted(shelves[unit_id])]
        rows = [artifact for artifact in artifacts if artifact.id > after]
        last = rows[limit - 1] if len(rows) > limit else None
        return Page(tuple(rows[:limit]), {"job_id": job_id, "artifact_id": last.id} if last else None)


def _sorted(shelf: dict[str, Artifact]) -> tuple[Artifact, ...]:
    return tuple(artifact for _, artifact in sorted(shelf.items()))
