"""What a client may know before it signs in."""

from pydantic import Field

from functions.customer_api.shapes.base import Answers, Count, Error, Shape


class Limits(Shape):
    """Per customer."""

    requests_per_minute: Count
    training_jobs_per_minute: Count
    live_training_jobs: Count
    compute_units_per_day: Count


class CapabilityClass(Shape):
    """A kind of machine, and what a started minute on it costs."""

    name: str
    min_vram_mb: Count
    credits_per_minute: Count


class Range(Shape):
    min: Count
    max: Count
    default: Count | None = None


class Pagination(Shape):
    default_limit: Count
    max_limit: Count


class UploadLimits(Shape):
    dataset_max_bytes: Count
    training_package_max_bytes: Count
    multipart_above_bytes: Count = Field(description="larger datasets go in parts")


class Config(Shape):
    api_version: str
    scopes: list[str]
    job_statuses: list[str]
    sensitivities: list[str]
    pagination: Pagination
    signed_url_seconds: Count
    uploads: UploadLimits
    training_jobs: dict[str, Range]
    limits: Limits
    capability_classes: list[CapabilityClass]


class Links(Shape):
    openapi: str
    docs: str
    config: str


class Meta(Shape):
    name: str
    api_version: str
    environment: str
    build: str
    links: Links


ANSWERS: Answers = {
    "getConfig": (200, Config),
    "getMeta": (200, Meta),
    "createImageJob": (410, Error),
    "createImageApiJob": (410, Error),
}
