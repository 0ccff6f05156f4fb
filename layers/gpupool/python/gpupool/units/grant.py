"""What a claim hands over: the work, where its inputs lie and the bounds it must keep."""

from collections.abc import Callable
from dataclasses import dataclass

from gpupool.jobs.model import Job, Source
from gpupool.units.artifacts import Artifact
from gpupool.units.model import LeaseState, Unit
from gpupool.wire.units import DatasetInput, Download, InputsResponse, Limits, NeedInput, NeedOutput, UnitGrant
from gpupool.wire.vocabulary import ArtifactKind

_MEMORY_MB = 8_192
_PROCESSES = 256
_LOG_BYTES = 10 * 1024 * 1024
_OUTPUT_BYTES = 5 * 1024**3  # the most that one presigned PUT may carry
# What dependents can use; logs and metrics of a need stay where they are unless an objective is read from them.
_PASSED_ON = frozenset({ArtifactKind.MODEL, ArtifactKind.METRICS, ArtifactKind.CHECKPOINT})

Presign = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Need:
    """A unit that another one needs, and the artifacts of it that are handed over."""

    unit: Unit
    artifacts: tuple[Artifact, ...] = ()


def build_inputs(
    job: Job, needs: tuple[Need, ...], presign: Presign, *, objective: str | None, more: str | None
) -> InputsResponse:
    """Where the inputs of one of the job's units lie; ``presign(key, file name)`` makes the download URLs."""
    return InputsResponse(
        package=_download(job.package, presign),
        dataset=DatasetInput(
            name=job.dataset.name, content_type=job.dataset.content_type, download=_download(job.dataset, presign)
        ),
        needs=[_need(need, presign, objective) for need in needs],
        more_needs=more,
    )


def build_grant(unit: Unit, lease: LeaseState, inputs: InputsResponse) -> UnitGrant:
    """The grant of ``unit`` under ``lease``."""
    work = unit.work
    return UnitGrant(
        unit_id=unit.id,
        job_id=unit.job_id,
        name=unit.name,
        role=work.role,
        kind=work.kind,
        attempt=unit.attempt,
        lease_token=lease.token,
        lease_expires_at=lease.expires_at,
        required_vram_mb=work.required_vram_mb,
        entry=work.entry,
        parameters=dict(work.parameters),
        args=list(work.args),
        requirements=work.requirements,
        objective=work.objective,
        goal=work.goal,
        package=inputs.package,
        dataset=inputs.dataset,
        needs=inputs.needs,
        more_needs=inputs.more_needs,
        limits=Limits(
            wall_seconds=work.max_runtime_seconds,
            memory_mb=_MEMORY_MB,
            disk_mb=work.required_disk_mb,
            processes=_PROCESSES,
            log_bytes=_LOG_BYTES,
            output_bytes=_OUTPUT_BYTES,
        ),
    )


def _download(source: Source, presign: Presign) -> Download:
    return Download(
        url=presign(source.key, source.name),
        sha256=source.sha256,
        size_bytes=source.size_bytes,
        declared_as=None if source.proven else source.id,
    )


def _need(need: Need, presign: Presign, objective: str | None) -> NeedInput:
    unit = need.unit
    outputs = [
        NeedOutput(
            name=artifact.name,
            kind=artifact.kind,
            download=Download(url=presign(artifact.key, artifact.name), sha256=artifact.sha256, size_bytes=artifact.size_bytes),
        )
        for artifact in need.artifacts
        if artifact.kind in _PASSED_ON
    ]
    return NeedInput(
        unit_name=unit.name,
        role=unit.work.role,
        outputs=outputs,
        unit_id=unit.id,
        measured=None if objective is None else unit.metrics.get(objective),
    )
