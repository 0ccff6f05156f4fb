"""Valid manifests, requests and jobs of which a test overrides what matters."""

from datetime import UTC, datetime
from typing import Any

import pytest

from gpupool.errors import ValidationFailed
from gpupool.jobs.model import Job, JobStatus, Quote, Sensitivity, Source
from gpupool.planning.manifest import parse_manifest
from gpupool.planning.model import Manifest, PlanRequest

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FILES = frozenset({"train.py", "evaluate.py", "a.py", "b.py", "c.py", "lib/", "lib/tool.py", "requirements.txt", "notes.md"})

SINGLE = '[package]\nentry = "train.py"\n'
SWEEP = SINGLE + '[strategy]\nkind = "sweep"\n[sweep]\nobjective = "accuracy"\ngoal = "maximize"\n'
DAG = '[strategy]\nkind = "dag"\n'


def parsed(text: str | None) -> Manifest:
    return parse_manifest(text, FILES)


def refused(text: str | None, names: frozenset[str] = FILES) -> ValidationFailed:
    """The refusal of a manifest, which must tell its place."""
    with pytest.raises(ValidationFailed) as caught:
        parse_manifest(text, names)
    assert "field" in caught.value.details
    return caught.value


def a_request(**overrides: Any) -> PlanRequest:
    wishes: dict[str, Any] = {"required_vram_mb": 8_000, "required_disk_mb": 1_024, "max_runtime_seconds": 600}
    return PlanRequest(**{**wishes, **overrides})


def a_job(**overrides: Any) -> Job:
    source = Source(id="u", name="data", content_type="application/zip", key="k", sha256="0" * 64, size_bytes=1)
    values: dict[str, Any] = {
        "id": "0190-job",
        "customer_id": "customer",
        "name": "digits",
        "status": JobStatus.PLANNING,
        "dataset": source,
        "package": source,
        "required_vram_mb": 8_000,
        "required_disk_mb": 1_024,
        "max_runtime_seconds": 600,
        "sensitivity": Sensitivity.PUBLIC,
        "quote": Quote(0),
        "created_at": NOW,
    }
    return Job(**{**values, **overrides})
