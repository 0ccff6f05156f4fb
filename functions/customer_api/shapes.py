"""The answers' shapes, for the document and for the tests that hold the answers to it."""

from typing import Annotated, Any, Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from gpupool.accounts.model import Scope
from gpupool.jobs.model import JobStatus, Sensitivity
from gpupool.ledger.model import EntryKind
from gpupool.planning.model import Goal, Strategy
from gpupool.units.model import UnitStatus
from gpupool.uploads.model import UploadStatus
from gpupool.wire.failures import Blame, FailureCode
from gpupool.wire.vocabulary import ArtifactKind, UnitKind, UnitRole

T = TypeVar("T")
Parameter = str | int | float | bool
Count = Annotated[int, Field(ge=0)]


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ErrorBody(Shape):
    code: str
    message: str = Field(description="what to do")
    request_id: str
    details: dict[str, Any] = Field(default_factory=dict, description="field: JSON pointer of what to correct, and more")


class Error(Shape):
    error: ErrorBody


class PageInfo(Shape):
    limit: int
    next_cursor: str | None
    has_more: bool


class Listing(Shape, Generic[T]):
    data: list[T]
    page: PageInfo


class Config(BaseModel):
    api_version: str
    signed_url_seconds: int


class Meta(Shape):
    name: str
    api_version: str
    environment: str


class Customer(Shape):
    id: str
    email: str
    name: str
    created_at: AwareDatetime


class Login(Shape):
    session_token: str
    expires_at: AwareDatetime
    customer: Customer


class ApiKey(Shape):
    id: str
    name: str
    prefix: str
    scopes: list[Scope]
    created_at: AwareDatetime
    expires_at: AwareDatetime | None
    revoked_at: AwareDatetime | None


class NewApiKey(ApiKey):
    key: str = Field(description="the plaintext, shown once")


class UploadInstructions(Shape):
    method: str
    url: str
    headers: dict[str, str] = Field(description="send exactly these; they are part of the signature")
    expires_at: AwareDatetime


class Dataset(Shape):
    id: str
    name: str
    status: UploadStatus
    content_type: str
    size_bytes: int
    sha256: str
    created_at: AwareDatetime
    finalized_at: AwareDatetime | None


class DeclaredDataset(Dataset):
    upload: UploadInstructions


class ManifestUnit(Shape):
    name: str
    kind: UnitKind
    entry: str
    needs: list[str]


class ListedManifest(Shape):
    strategy: Strategy
    entry: str | None
    evaluate_entry: str | None
    requirements: str | None
    parameters: dict[str, Parameter]
    objective: str | None
    goal: Goal | None
    parameter_sets_total: Count
    units_total: Count


class Manifest(ListedManifest):
    units: list[ManifestUnit]


class ListedTrainingPackage(Dataset):
    manifest: ListedManifest | None


class TrainingPackage(Dataset):
    manifest: Manifest | None


class DeclaredTrainingPackage(TrainingPackage):
    upload: UploadInstructions


class QuoteLine(Shape):
    capability: str
    units: Count
    credits: Count


class Quote(Shape):
    credits: Count
    lines: list[QuoteLine]


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


class Balance(Shape):
    available: Count
    held: Count
    spent: Count
    granted: Count


class UsageSummary(Shape):
    credits: Balance
    as_of: AwareDatetime


class LedgerEntry(Shape):
    id: str
    kind: EntryKind
    amount: Count
    job_id: str | None
    unit_id: str | None
    note: str
    created_at: AwareDatetime


class ApiKeys(Listing[ApiKey]):
    pass


class Datasets(Listing[Dataset]):
    pass


class TrainingPackages(Listing[ListedTrainingPackage]):
    pass


class TrainingJobs(Listing[TrainingJob]):
    pass


class ComputeUnits(Listing[ComputeUnit]):
    pass


class Artifacts(Listing[Artifact]):
    pass


class LedgerEntries(Listing[LedgerEntry]):
    pass


# operation id -> status and shape of its success; of its only answer for those that are gone
ANSWERS: dict[str, tuple[int, type[BaseModel] | None]] = {
    "getConfig": (200, Config),
    "getMeta": (200, Meta),
    "createImageJob": (410, Error),
    "createImageApiJob": (410, Error),
    "login": (200, Login),
    "getMe": (200, Customer),
    "logout": (204, None),
    "createApiKey": (201, NewApiKey),
    "listApiKeys": (200, ApiKeys),
    "revokeApiKey": (204, None),
    "createDataset": (201, DeclaredDataset),
    "finalizeDataset": (200, Dataset),
    "listDatasets": (200, Datasets),
    "getDataset": (200, Dataset),
    "deleteDataset": (204, None),
    "createTrainingPackage": (201, DeclaredTrainingPackage),
    "finalizeTrainingPackage": (200, TrainingPackage),
    "listTrainingPackages": (200, TrainingPackages),
    "getTrainingPackage": (200, TrainingPackage),
    "deleteTrainingPackage": (204, None),
    "createTrainingJob": (201, TrainingJob),
    "listTrainingJobs": (200, TrainingJobs),
    "getTrainingJob": (200, TrainingJob),
    "cancelTrainingJob": (202, TrainingJob),
    "listComputeUnits": (200, ComputeUnits),
    "listArtifacts": (200, Artifacts),
    "createDownloadUrl": (200, DownloadUrl),
    "getUsageSummary": (200, UsageSummary),
    "listLedgerEntries": (200, LedgerEntries),
}
