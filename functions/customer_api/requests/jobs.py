"""Submitting a training job, in both published spellings."""

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from functions.customer_api.requests.base import Id, Name, Request
from gpupool.errors import ValidationFailed
from gpupool.jobs.model import Sensitivity
from gpupool.planning.limits import MAX_RUNTIME_SECONDS, MAX_VRAM_MB, MIN_DISK_MB

if TYPE_CHECKING:
    from gpupool.jobs.submit import SubmitJob

MAX_DISK_MB = 200_000
MIN_RUNTIME_SECONDS = 60
DEFAULT_DISK_MB = 1_024
DEFAULT_RUNTIME_SECONDS = 3_600

Parameters = dict[str, str | int | float | bool]


def _named_by_text(parameters: Parameters) -> Parameters:
    """JSON can say half a character, which no answer could repeat and no store could keep."""
    try:
        "".join(parameters).encode()
    except UnicodeEncodeError:
        raise ValueError("the name of a parameter is no text; it holds half a character") from None
    return parameters


Vram = Annotated[int, Field(ge=0, le=MAX_VRAM_MB)]


class CreateJobRequest(Request):
    """``min_vram_mb`` and ``max_runtime_minutes`` are older spellings of ``required_vram_mb`` and ``max_runtime_seconds``."""

    name: Name
    dataset_id: Id
    training_package_id: Id
    required_vram_mb: Vram | None = None
    min_vram_mb: Vram | None = None
    required_disk_mb: Annotated[int, Field(ge=MIN_DISK_MB, le=MAX_DISK_MB)] = DEFAULT_DISK_MB
    max_runtime_seconds: Annotated[int | None, Field(ge=MIN_RUNTIME_SECONDS, le=MAX_RUNTIME_SECONDS)] = None
    max_runtime_minutes: Annotated[int | None, Field(ge=MIN_RUNTIME_SECONDS // 60, le=MAX_RUNTIME_SECONDS // 60)] = None
    sensitivity: Sensitivity = Sensitivity.PUBLIC
    parameters: Annotated[Parameters, Field(max_length=200), AfterValidator(_named_by_text)] = Field(default_factory=dict)


def submission(body: CreateJobRequest) -> "SubmitJob":
    """The request in one spelling; VALIDATION_FAILED when both spellings are there and disagree."""
    from gpupool.jobs.submit import SubmitJob  # brings the planner, which the cold start of a read should not wait for

    minutes = body.max_runtime_minutes
    vram = _agreed("required_vram_mb", body.required_vram_mb, "min_vram_mb", body.min_vram_mb)
    if vram is None:
        raise _wrong("required_vram_mb", "Say how much VRAM a unit needs; 0 means that a CPU will do.")
    seconds = _agreed(
        "max_runtime_seconds", body.max_runtime_seconds, "max_runtime_minutes", None if minutes is None else minutes * 60
    )
    return SubmitJob(
        name=body.name,
        dataset_id=body.dataset_id,
        training_package_id=body.training_package_id,
        required_vram_mb=vram,
        required_disk_mb=body.required_disk_mb,
        max_runtime_seconds=DEFAULT_RUNTIME_SECONDS if seconds is None else seconds,
        sensitivity=body.sensitivity,
        parameters=body.parameters,
    )


def _agreed(name: str, value: int | None, older_name: str, older: int | None) -> int | None:
    if value is not None and older is not None and value != older:
        raise _wrong(older_name, f"{name} and {older_name} say different things; send {name} alone.")
    return older if value is None else value


def _wrong(field: str, message: str) -> ValidationFailed:
    pointer = f"/{field}"
    return ValidationFailed(message, field=pointer, details={"fields": [{"field": pointer, "message": message}]})
