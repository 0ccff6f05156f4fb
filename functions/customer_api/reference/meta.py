"""Configuration, version, and what is gone."""

from functions.customer_api.reference.base import Note, Notes

TAGS = {"meta": "What a client may know before it signs in."}

_CONFIG = {
    "api_version": "v1-alpha",
    "scopes": ["dataset:write", "dataset:read", "training:write", "training:read", "artifact:read", "usage:read"],
    "job_statuses": ["queued", "planning", "running", "completed", "failed", "cancelled"],
    "sensitivities": ["public", "low_sensitive"],
    "pagination": {"default_limit": 50, "max_limit": 100},
    "signed_url_seconds": 900,
    "uploads": {
        "dataset_max_bytes": 5_000_000_000,
        "training_package_max_bytes": 100_000_000,
        "multipart_above_bytes": 100_000_000,
    },
    "training_jobs": {
        "required_vram_mb": {"min": 0, "max": 80_000},
        "required_disk_mb": {"min": 64, "max": 200_000, "default": 1_024},
        "max_runtime_seconds": {"min": 60, "max": 21_600, "default": 3_600},
    },
    "limits": {
        "requests_per_minute": 600,
        "training_jobs_per_minute": 10,
        "live_training_jobs": 3,
        "compute_units_per_day": 200,
    },
    "capability_classes": [
        {"name": "cpu", "min_vram_mb": 0, "credits_per_minute": 1},
        {"name": "gpu-8g", "min_vram_mb": 1, "credits_per_minute": 4},
    ],
}
_META = {
    "name": "GPU-Agent Customer API",
    "api_version": "v1-alpha",
    "environment": "production",
    "build": "2026.11.22",
    "links": {"openapi": "/api/v1/openapi.json", "docs": "/docs", "config": "/api/v1/customer/config"},
}
_KEPT = {"ETag": "Send it as If-None-Match to hear 304 while nothing has changed.", "Cache-Control": "How long it may be kept."}
_UNCHANGED = {304: "Nothing has changed since the answer with this ETag."}

NOTES: Notes = {
    "getConfig": Note(answers=_CONFIG, also=_UNCHANGED, headers=_KEPT),
    "getMeta": Note(answers=_META, also=_UNCHANGED, headers=_KEPT),
    "createImageJob": Note(refuses=("LEGACY_DEPRECATED",)),
    "createImageApiJob": Note(refuses=("LEGACY_DEPRECATED",)),
}
