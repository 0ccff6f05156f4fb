"""What a client may know before it signs in, and what is gone for good."""

from typing import Any

from fastapi import APIRouter, Request, Response

from functions.customer_api.answers import Json, cacheable
from functions.customer_api.deps import core_of
from functions.customer_api.requests import jobs as requests
from functions.customer_api.routes import PREFIX
from gpupool.accounts.model import Scope
from gpupool.errors import Gone
from gpupool.jobs.model import JobStatus, Sensitivity
from gpupool.objects.store import URL_SECONDS
from gpupool.pages import DEFAULT_LIMIT, MAX_LIMIT
from gpupool.planning.limits import MAX_RUNTIME_SECONDS, MAX_VRAM_MB, MIN_DISK_MB
from gpupool.uploads.model import MAX_BYTES, UploadKind
from gpupool.uploads.parts import MULTIPART_ABOVE_BYTES
from gpupool.wire.vocabulary import VRAM_FLOOR_MB

router = APIRouter(prefix=PREFIX, tags=["meta"])
API_VERSION = "v1-alpha"
_KEEP_SECONDS = 300

_CONFIG: dict[str, Any] = {
    "api_version": API_VERSION,
    "scopes": list(Scope),
    "job_statuses": list(JobStatus),
    "sensitivities": [Sensitivity.PUBLIC, Sensitivity.LOW_SENSITIVE],
    "pagination": {"default_limit": DEFAULT_LIMIT, "max_limit": MAX_LIMIT},
    "signed_url_seconds": URL_SECONDS,
    "uploads": {
        "dataset_max_bytes": MAX_BYTES[UploadKind.DATASET],
        "training_package_max_bytes": MAX_BYTES[UploadKind.TRAINING_PACKAGE],
        "multipart_above_bytes": MULTIPART_ABOVE_BYTES,
    },
    "training_jobs": {
        "required_vram_mb": {"min": 0, "max": MAX_VRAM_MB},
        "required_disk_mb": {
            "min": MIN_DISK_MB,
            "max": requests.MAX_DISK_MB,
            "default": requests.DEFAULT_DISK_MB,
        },
        "max_runtime_seconds": {
            "min": requests.MIN_RUNTIME_SECONDS,
            "max": MAX_RUNTIME_SECONDS,
            "default": requests.DEFAULT_RUNTIME_SECONDS,
        },
    },
}


@router.get("/config", operation_id="getConfig")
async def config(request: Request) -> Response:
    """Limits, rates and vocabularies of this API."""
    from gpupool.planning.pricing import CREDITS_PER_MINUTE

    core = core_of(request)
    rates, allowance = core.limits.rates, core.allowance
    limits = {
        "requests_per_minute": rates.requests.capacity,
        "training_jobs_per_minute": rates.jobs.capacity,
        "live_training_jobs": allowance.live_jobs,
        "compute_units_per_day": allowance.units_per_day,
    }
    classes = [
        {"name": name, "min_vram_mb": VRAM_FLOOR_MB[name], "credits_per_minute": credits}
        for name, credits in CREDITS_PER_MINUTE.items()
    ]
    return cacheable(request, {**_CONFIG, "limits": limits, "capability_classes": classes}, seconds=_KEEP_SECONDS)


@router.get("/meta", operation_id="getMeta")
async def meta(request: Request) -> Response:
    """Which API this is, and which build and stage of it."""
    core = core_of(request)
    about = {
        "name": "GPU-Agent Customer API",
        "api_version": API_VERSION,
        "environment": core.stage,
        "build": core.build,
        "links": {"openapi": "/api/v1/openapi.json", "docs": "/docs", "config": f"{PREFIX}/config"},
    }
    return cacheable(request, about, seconds=_KEEP_SECONDS)


@router.post("/jobs/image", operation_id="createImageJob", deprecated=True)
async def image_job() -> Json:
    """Gone: image generation with preset models."""
    raise _gone()


@router.post("/jobs/image-api", operation_id="createImageApiJob", deprecated=True)
async def image_api_job() -> Json:
    """Gone: image generation with preset models."""
    raise _gone()


def _gone() -> Gone:
    return Gone(
        "Image jobs were removed; upload a dataset and a training package, then POST /api/v1/customer/training-jobs.",
        details={"replacement": "/api/v1/customer/training-jobs"},
    )
