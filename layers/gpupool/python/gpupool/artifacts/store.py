"""Where artifacts are kept. They are put there because their unit has ended, before anything else follows from that."""

from typing import Protocol

from gpupool.artifacts.model import Artifact
from gpupool.pages import Key, Page


class ArtifactStore(Protocol):
    def put(self, artifacts: tuple[Artifact, ...]) -> None:
        """Adds rows; repeating it writes the same rows."""

    def get(self, job_id: str, artifact_id: str) -> Artifact | None: ...

    def of_unit(self, unit_id: str) -> tuple[Artifact, ...]: ...

    def of_units(self, first_id: str, last_id: str) -> tuple[Artifact, ...]:
        """What the units of one job from ``first_id`` to ``last_id`` left, by unit and name."""

    def page(self, job_id: str, *, limit: int, key: Key | None) -> Page[Artifact]:
        """A job's artifacts, by unit and name."""
