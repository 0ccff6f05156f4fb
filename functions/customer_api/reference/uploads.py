"""Datasets and training packages."""

from typing import Any

from functions.customer_api.reference.base import AT, DATASET_ID, LATER, PACKAGE_ID, SHA256, Note, Notes, listed

TAGS = {
    "datasets": "What jobs train on: declare, PUT the bytes to the signed URL, finalize.",
    "training packages": "What jobs run: a zip with a Python entry, uploaded like a dataset.",
}

_ARRIVAL = ("UPLOAD_MISSING", "UPLOAD_MISMATCH", "STORAGE_UNAVAILABLE")
_PARTS = ("DATASET_NOT_FOUND", "UPLOAD_NOT_MULTIPART", "UPLOAD_NOT_PENDING", "UPLOAD_EXPIRED")
_ZIP = ("PACKAGE_INVALID", "PACKAGE_UNSAFE", "PACKAGE_NO_ENTRY", "MANIFEST_INVALID", "PLAN_CYCLIC")

_UPLOADED = {
    "id": DATASET_ID,
    "name": "points.csv",
    "status": "ready",
    "content_type": "text/csv",
    "size_bytes": 360,
    "sha256": SHA256,
    "created_at": AT,
    "finalized_at": AT,
}
_DATASET = {**_UPLOADED, "multipart": None}
_UPLOAD = {
    "method": "PUT",
    "url": "https://storage.example.com/uploads/019aa5f0?X-Amz-Signature=5d1f0c",
    "headers": {
        "Content-Type": "text/csv",
        "Content-Length": "360",
        "x-amz-checksum-sha256": "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is",
    },
    "expires_at": LATER,
}
_LISTED_MANIFEST = {
    "strategy": "single",
    "entry": "train.py",
    "evaluate_entry": None,
    "requirements": None,
    "parameters": {"epochs": 20, "rate": 0.1},
    "objective": None,
    "goal": None,
    "parameter_sets_total": 0,
    "units_total": 0,
}
_MANIFEST: dict[str, Any] = {**_LISTED_MANIFEST, "units": []}
_PACKAGE = {**_UPLOADED, "id": PACKAGE_ID, "name": "package.zip", "content_type": "application/zip", "size_bytes": 812}
_PENDING = {"status": "pending_upload", "finalized_at": None}

NOTES: Notes = {
    "createDataset": Note(
        sends={"name": "points.csv", "size_bytes": 360, "sha256": SHA256, "content_type": "text/csv"},
        answers={**_DATASET, **_PENDING, "upload": _UPLOAD},
        refuses=("SIGNED_URL_FAILED", "STORAGE_UNAVAILABLE"),
    ),
    "createDatasetPartUrls": Note(
        sends={"parts": [{"part_number": 1, "sha256": SHA256}]},
        answers={"parts": [{"part_number": 1, **_UPLOAD}]},
        refuses=(*_PARTS, "SIGNED_URL_FAILED"),
    ),
    "listDatasetParts": Note(
        answers=listed({"part_number": 1, "size_bytes": 8_388_608, "sha256": SHA256}),
        refuses=(*_PARTS, "STORAGE_UNAVAILABLE"),
    ),
    "finalizeDataset": Note(answers=_DATASET, refuses=("DATASET_NOT_FOUND", "UPLOAD_EXPIRED", *_ARRIVAL)),
    "listDatasets": Note(answers=listed(_DATASET)),
    "getDataset": Note(answers=_DATASET, refuses=("DATASET_NOT_FOUND",)),
    "deleteDataset": Note(refuses=("DATASET_NOT_FOUND", "DATASET_IN_USE", "STORAGE_UNAVAILABLE")),
    "createTrainingPackage": Note(
        sends={"name": "package.zip", "size_bytes": 812, "sha256": SHA256},
        answers={**_PACKAGE, **_PENDING, "manifest": None, "upload": _UPLOAD},
        refuses=("SIGNED_URL_FAILED",),
    ),
    "finalizeTrainingPackage": Note(
        answers={**_PACKAGE, "manifest": _MANIFEST}, refuses=("TRAINING_PACKAGE_NOT_FOUND", *_ARRIVAL, *_ZIP)
    ),
    "listTrainingPackages": Note(answers=listed({**_PACKAGE, "manifest": _LISTED_MANIFEST})),
    "getTrainingPackage": Note(answers={**_PACKAGE, "manifest": _MANIFEST}, refuses=("TRAINING_PACKAGE_NOT_FOUND",)),
    "deleteTrainingPackage": Note(refuses=("TRAINING_PACKAGE_NOT_FOUND", "TRAINING_PACKAGE_IN_USE", "STORAGE_UNAVAILABLE")),
}
