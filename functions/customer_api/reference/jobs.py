"""Training jobs, their units and artifacts."""

from functions.customer_api.reference.base import (
    AT,
    DATASET_ID,
    JOB_ID,
    LATER,
    PACKAGE_ID,
    SHA256,
    UNIT_ID,
    Note,
    Notes,
    full,
    listed,
)

TAGS = {
    "training jobs": "A dataset, a package and limits become a plan of units for home machines; you pay per completed unit."
}

_SENT = {
    "name": "line",
    "dataset_id": DATASET_ID,
    "training_package_id": PACKAGE_ID,
    "required_vram_mb": 0,
    "required_disk_mb": 256,
    "max_runtime_seconds": 120,
    "sensitivity": "public",
    "parameters": {"epochs": 50},
}
_QUEUED = {
    "id": JOB_ID,
    "status": "queued",
    **_SENT,
    "quote": {"credits": 12, "lines": [{"capability": "cpu", "units": 3, "credits": 12}]},
    "credits_spent": 0,
    "progress": {"units_total": 3, "units_completed": 0},
    "created_at": AT,
    "started_at": None,
    "finished_at": None,
    "cancel_requested_at": None,
    "failure": None,
}
_RUNNING = {
    **_QUEUED,
    "status": "running",
    "started_at": AT,
    "progress": {"units_total": 3, "units_completed": 1},
    "credits_spent": 1,
}
_UNIT = {
    "id": UNIT_ID,
    "job_id": JOB_ID,
    "name": "train",
    "kind": "gpu",
    "role": "train",
    "parameters": {"epochs": 50, "rate": 0.1},
    "status": "running",
    "needs": [f"{JOB_ID}.00000"],
    "attempt": 1,
    "node": "node-3427",
    "progress": {"fraction": 0.4, "stage": "running", "metrics": {"epoch": 20.0, "epochs": 50.0, "loss": 0.0911}},
    "created_at": AT,
    "started_at": AT,
    "finished_at": None,
    "credits": 0,
    "failure": None,
}
_ARTIFACT = {
    "id": f"{UNIT_ID}.model.tar.gz",
    "job_id": JOB_ID,
    "unit_id": UNIT_ID,
    "kind": "model",
    "name": "model.tar.gz",
    "size_bytes": 411,
    "sha256": SHA256,
    "created_at": AT,
}
_URL = "https://storage.example.com/jobs/model.tar.gz?X-Amz-Signature=8c2e4b"

_PLANNED = (
    "SENSITIVITY_UNAVAILABLE",
    "UNKNOWN_PARAMETER",
    "MANIFEST_INVALID",
    "DATASET_NOT_FOUND",
    "TRAINING_PACKAGE_NOT_FOUND",
    "DATASET_NOT_READY",
    "TRAINING_PACKAGE_NOT_READY",
)

NOTES: Notes = {
    "createTrainingJob": Note(
        sends=_SENT,
        answers=_QUEUED,
        refuses=(*_PLANNED, "CREDIT_INSUFFICIENT", "DAILY_TASK_LIMIT_EXCEEDED", "TRY_AGAIN"),
    ),
    "quoteTrainingJob": Note(
        sends=_SENT,
        answers={
            "quote": _QUEUED["quote"],
            "units_total": 3,
            "strategy": "single",
            "credits_available": 985,
            "affordable": True,
        },
        refuses=_PLANNED,
    ),
    "listTrainingJobs": Note(answers=listed(_RUNNING)),
    "getTrainingJob": Note(answers=_RUNNING),
    "cancelTrainingJob": Note(answers={**_RUNNING, "cancel_requested_at": LATER}, refuses=("JOB_NOT_CANCELLABLE",)),
    "listComputeUnits": Note(answers=full(_UNIT)),
    "listArtifacts": Note(answers=full(_ARTIFACT)),
    "createDownloadUrl": Note(answers={"download_url": _URL, "expires_at": LATER}, refuses=("SIGNED_URL_FAILED",)),
}
