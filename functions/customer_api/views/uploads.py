"""How datasets and training packages look to their owner."""

from typing import Any

from functions.customer_api.answers import View, moment
from gpupool.uploads.model import Declared, Upload, UploadKind


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
