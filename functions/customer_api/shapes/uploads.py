"""Datasets and training packages."""

from pydantic import AwareDatetime, Field

from functions.customer_api.shapes.base import Answers, Count, Listing, Parameter, Shape
from gpupool.planning.model import Goal, Strategy
from gpupool.uploads.model import UploadStatus
from gpupool.wire.vocabulary import UnitKind


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


class Datasets(Listing[Dataset]):
    pass


class TrainingPackages(Listing[ListedTrainingPackage]):
    pass


ANSWERS: Answers = {
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
}
