"""Training jobs, their units and artifacts."""

from pydantic import AwareDatetime, Field

from functions.customer_api.shapes.base import Answers, Count, Listing, Parameter, Shape
from gpupool.jobs.model import JobStatus, Sensitivity
from gpupool.planning.model import Strategy
from gpupool.units.model import UnitStatus
from gpupool.wire.failures import Blame, FailureCode
from gpupool.wire.vocabulary import ArtifactKind, UnitKind, UnitRole


class QuoteLine(Shape):
    capability: str
    units: Count
    credits: Count


class Quote(Shape):
    credits: Count
    lines: list[QuoteLine]


class Offer(Shape):
    quote: Quote
    units_total: Count
    strategy: Strategy
    credits_available: Count
    affordable: bool = Field(description="whether the quote is available now; limits are not looked at")


class JobProgress(Shape):
    units_total: Count
    units_completed: Count


class Failure(Shape):
    code: FailureCode
    blame: Blame
    message: str
    unit_id: str | None


class UnitFailure(Failure):
    attempt: int | None
    exit_code: int | None
    log_tail: str


class TrainingJob(Shape):
    id: str
    name: str
    status: JobStatus
    dataset_id: str
    training_package_id: str
    required_vram_mb: Count
    required_disk_mb: Count
    max_runtime_seconds: Count
    sensitivity: Sensitivity
    parameters: dict[str, Parameter]
    quote: Quote
    credits_spent: Count
    progress: JobProgress
    created_at: AwareDatetime
    started_at: AwareDatetime | None
    finished_at: AwareDatetime | None
    cancel_requested_at: AwareDatetime | None
    failure: Failure | None


class UnitProgress(Shape):
    fraction: float | None
    stage: str
    metrics: dict[str, float | None]


class ComputeUnit(Shape):
    id: str
    job_id: str
    name: str
    kind: UnitKind
    role: UnitRole
    parameters: dict[str, str | int | float | bool] = Field(description="what the entry is started with")
    status: UnitStatus
    needs: list[str] = Field(description="ids of the units that must be completed first")
    attempt: Count
    node: str | None
    progress: UnitProgress
    created_at: AwareDatetime
    started_at: AwareDatetime | None
    finished_at: AwareDatetime | None
    credits: Count
    failure: UnitFailure | None


class Artifact(Shape):
    id: str
    job_id: str
    unit_id: str
    kind: ArtifactKind
    name: str
    size_bytes: Count
    sha256: str
    created_at: AwareDatetime


class DownloadUrl(Shape):
    download_url: str
    expires_at: AwareDatetime


class TrainingJobs(Listing[TrainingJob]):
    pass


class ComputeUnits(Listing[ComputeUnit]):
    pass


class Artifacts(Listing[Artifact]):
    pass


ANSWERS: Answers = {
    "createTrainingJob": (201, TrainingJob),
    "quoteTrainingJob": (200, Offer),
    "listTrainingJobs": (200, TrainingJobs),
    "getTrainingJob": (200, TrainingJob),
    "cancelTrainingJob": (202, TrainingJob),
    "listComputeUnits": (200, ComputeUnits),
    "listArtifacts": (200, Artifacts),
    "createDownloadUrl": (200, DownloadUrl),
}
