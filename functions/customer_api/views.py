"""How things look to their owner. What is not listed here (bucket keys, hashes of secrets, node ids, leases) never leaves."""

import math
from typing import Any

from functions.customer_api.answers import moment
from gpupool.accounts.model import ApiKey, Customer
from gpupool.artifacts.model import Artifact
from gpupool.ids import unit_id
from gpupool.jobs.model import Job
from gpupool.ledger.model import Balance, Transfer
from gpupool.units.model import Failure, Unit
from gpupool.uploads.model import Declared, Upload, UploadKind

View = dict[str, Any]


def customer(row: Customer) -> View:
    return {"id": row.id, "email": row.email, "name": row.name, "created_at": moment(row.created_at)}


def api_key(row: ApiKey) -> View:
    return {
        "id": row.id,
        "name": row.name,
        "prefix": row.hint,
        "scopes": sorted(row.scopes),
        "created_at": moment(row.created_at),
        "expires_at": moment(row.expires_at),
        "revoked_at": moment(row.revoked_at),
    }


def upload(row: Upload) -> View:
    view: View = {
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "content_type": row.content_type,
        "size_bytes": row.size_bytes,
        "sha256": row.sha256,
        "created_at": moment(row.created_at),
        "finalized_at": moment(row.finalized_at),
    }
    if row.kind is UploadKind.TRAINING_PACKAGE:
        view["manifest"] = None if row.manifest is None else manifest(row.manifest)
    return view


def listed_upload(row: Upload) -> View:
    """As in lists: without the units, which for a hundred packages would not fit into one answer."""
    view = upload(row)
    if view.get("manifest"):
        del view["manifest"]["units"]
    return view


def declared(row: Declared) -> View:
    signed = row.signed
    instructions = {"method": signed.method, "url": signed.url, "headers": signed.headers, "expires_at": moment(row.expires_at)}
    return {**upload(row.upload), "upload": instructions}


def manifest(stored: dict[str, Any]) -> View:
    """What was read from a package's manifest, or assumed in its absence."""
    from gpupool.planning.stored import manifest_from_dict

    read = manifest_from_dict(stored)
    return {
        "strategy": read.strategy,
        "entry": read.entry,
        "evaluate_entry": read.evaluate_entry,
        "requirements": read.requirements,
        "parameters": read.parameters,
        "objective": read.objective,
        "goal": read.goal,
        "parameter_sets_total": len(read.parameter_sets),
        "units_total": len(read.units),
        "units": [{"name": unit.name, "kind": unit.kind, "entry": unit.entry, "needs": unit.needs} for unit in read.units],
    }


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
        "quote": {
            "credits": row.quote.credits,
            "lines": [
                {"capability": line.capability, "units": line.units, "credits": line.credits} for line in row.quote.lines
            ],
        },
        "credits_spent": row.credits_spent,
        "progress": {"units_total": row.units_total, "units_completed": row.units_completed},
        "created_at": moment(row.created_at),
        "started_at": moment(row.started_at),
        "finished_at": moment(row.finished_at),
        "cancel_requested_at": moment(row.cancel_requested_at),
        "failure": None if failure is None else _failure(failure),
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


def balance(row: Balance) -> View:
    return {"available": row.available, "held": row.held, "spent": row.spent, "granted": row.granted}


def transfer(row: Transfer) -> View:
    return {
        "id": row.id,
        "kind": row.kind,
        "amount": row.amount,
        "job_id": row.job_id,
        "unit_id": row.unit_id,
        "note": row.note,
        "created_at": moment(row.created_at),
    }


def _failure(row: Failure) -> View:
    return {"code": row.code, "blame": row.blame, "message": row.message, "unit_id": row.unit_id}


def _unit_failure(row: Failure) -> View:
    return {**_failure(row), "attempt": row.attempt, "exit_code": row.exit_code, "log_tail": row.log_tail}


def _finite(value: float | None) -> float | None:
    """JSON has no word for infinity; a diverged loss reads as null."""
    return value if value is not None and math.isfinite(value) else None
