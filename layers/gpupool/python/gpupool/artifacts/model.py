"""Artifacts: what ended units left behind. They repeat what the unit's row says, so that they can be listed and found by id."""

from dataclasses import dataclass
from datetime import datetime

from gpupool.wire.vocabulary import ArtifactKind


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
