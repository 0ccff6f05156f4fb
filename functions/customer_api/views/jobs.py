"""How training jobs, units and artifacts look to their owner."""

import math
from typing import TYPE_CHECKING

from functions.customer_api.answers import View, moment
from gpupool.ids import unit_id
from gpupool.jobs.model import Job, Quote
from gpupool.units.artifacts import Artifact
from gpupool.units.model import Failure, Unit

if TYPE_CHECKING:
    from gpupool.jobs.submit import Offer


def job(row: Job) -> View:
    failure = row.failure
    return {
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "dataset_id": row.dataset.id,
        "training_package_id": row.package.id,
        "required_vram_mb": row.required_vram_mb,
        "required_disk_mb": row.required_disk_mb,
        "max_runtime_seconds": row.max_runtime_seconds,
        "sensitivity": row.sensitivity,
        "parameters": row.parameters,
        "quote": _quote(row.quote),
        "credits_spent": row.credits_spent,
        "progress": {"units_total": row.units_total, "units_completed": row.units_completed},
        "created_at": moment(row.created_at),
        "started_at": moment(row.started_at),
        "finished_at": moment(row.finished_at),
        "cancel_requested_at": moment(row.cancel_requested_at),
        "failure": None if failure is None else _failure(failure),
    }


def offer(made: "Offer") -> View:
    return {
        "quote": _quote(made.quote),
        "units_total": len(made.plan.units),
        "strategy": made.plan.strategy,
        "credits_available": made.credits_available,
        "affordable": made.quote.credits <= made.credits_available,
    }


def unit(row: Unit) -> View:
    return {
        "id": row.id,
        "job_id": row.job_id,
        "name": row.name,
        "kind": row.work.kind,
        "role": row.work.role,
        "parameters": dict(row.work.parameters),
        "status": row.status,
        "needs": [unit_id(row.job_id, index) for index in row.needs],
        "attempt": row.attempt,
        "node": row.node_name,
        "progress": {
            "fraction": _finite(row.progress_fraction),
            "stage": row.progress_stage,
            "metrics": {name: _finite(value) for name, value in row.metrics.items()},
        },
        "created_at": moment(row.created_at),
        "started_at": moment(row.started_at),
        "finished_at": moment(row.finished_at),
        "credits": row.credits,
        "failure": None if row.failure is None else _unit_failure(row.failure),
    }


def artifact(row: Artifact) -> View:
    return {
        "id": row.id,
        "job_id": row.job_id,
        "unit_id": row.unit_id,
        "kind": row.kind,
        "name": row.name,
        "size_bytes": row.size_bytes,
        "sha256": row.sha256,
        "created_at": moment(row.created_at),
    }


def _quote(row: Quote) -> View:
    lines = [{"capability": line.capability, "units": line.units, "credits": line.credits} for line in row.lines]
    return {"credits": row.credits, "lines": lines}


def _failure(row: Failure) -> View:
    return {"code": row.code, "blame": row.blame, "message": row.message, "unit_id": row.unit_id}


def _unit_failure(row: Failure) -> View:
    return {**_failure(row), "attempt": row.attempt, "exit_code": row.exit_code, "log_tail": row.log_tail}


def _finite(value: float | None) -> float | None:
    """JSON has no word for infinity; a diverged loss reads as null."""
    return value if value is not None and math.isfinite(value) else None
