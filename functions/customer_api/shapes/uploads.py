"""Datasets and training packages."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from functions.customer_api.shapes.base import Answers, Count, Listing, Parameter, Shape
from gpupool.planning.model import Goal, Strategy
from gpupool.uploads.model import UploadStatus
from gpupool.wire.vocabulary import UnitKind


class SinglePut(Shape):
    """All bytes in one request."""

    method: Literal["PUT"]
    url: str
    headers: dict[str, str] = Field(description="send exactly these; they are part of the signature")
    expires_at: AwareDatetime


class Multipart(Shape):
    part_size_bytes: int = Field(description="the size of every part but the last, which has the rest")
    parts_total: int


class MultipartUpload(Multipart):
    """Parts, numbered from 1, in any order; each has a URL of its own."""

    method: Literal["MULTIPART"]
    expires_at: AwareDatetime = Field(description="until then the parts are kept; finalize before")


UploadInstructions = Annotated[SinglePut | MultipartUpload, Field(discriminator="method")]


class SignedPart(SinglePut):
    part_number: int


class SignedParts(Shape):
    parts: list[SignedPart]


class StoredPart(Shape):
    part_number: int
    size_bytes: int
    sha256: str


class StoredParts(Listing[StoredPart]):
    pass


class _Uploaded(Shape):
    id: str
    name: str
    status: UploadStatus
    content_type: str
    size_bytes: int
    sha256: str
    created_at: AwareDatetime
    finalized_at: AwareDatetime | None


class Dataset(_Uploaded):
    multipart: Multipart | None = Field(description="null when the bytes go in one piece")


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


class ListedTrainingPackage(_Uploaded):
    manifest: ListedManifest | None


class TrainingPackage(_Uploaded):
    manifest: Manifest | None


class DeclaredTrainingPackage(TrainingPackage):
    upload: SinglePut


class Datasets(Listing[Dataset]):
    pass


class TrainingPackages(Listing[ListedTrainingPackage]):
    pass


ANSWERS: Answers = {
    "createDataset": (201, DeclaredDataset),
    "finalizeDataset": (200, Dataset),
    "createDatasetPartUrls": (200, SignedParts),
    "listDatasetParts": (200, StoredParts),
    "listDatasets": (200, Datasets),
    "getDataset": (200, Dataset),
    "deleteDataset": (204, None),
    "createTrainingPackage": (201, DeclaredTrainingPackage),
    "finalizeTrainingPackage": (200, TrainingPackage),
    "listTrainingPackages": (200, TrainingPackages),
    "getTrainingPackage": (200, TrainingPackage),
    "deleteTrainingPackage": (204, None),
}
