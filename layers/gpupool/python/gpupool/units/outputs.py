"""The artifacts of an ended unit, derived from its row: derived twice, they are the same."""

from gpupool.artifacts.model import Artifact
from gpupool.ids import artifact_id
from gpupool.units.model import Unit
from gpupool.units.signing import output_key


def artifacts_of(unit: Unit) -> tuple[Artifact, ...]:
    """What the attempt that ended the unit left behind; other attempts have left nothing in its row."""
    return tuple(
        Artifact(
            id=artifact_id(unit.id, output.name),
            job_id=unit.job_id,
            unit_id=unit.id,
            kind=output.kind,
            name=output.name,
            size_bytes=output.size_bytes,
            sha256=output.sha256,
            key=output_key(unit, output.name),
            created_at=unit.finished_at or unit.created_at,
        )
        for output in unit.outputs
    )
