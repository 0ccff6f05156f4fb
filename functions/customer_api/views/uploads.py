"""How datasets and training packages look to their owner."""

from typing import Any

from functions.customer_api.answers import View, moment
from gpupool.objects.model import StoredPart
from gpupool.uploads.model import Declared, SignedPart, Upload, UploadKind


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
    else:
        view["multipart"] = _multipart(row)
    return view


def listed_upload(row: Upload) -> View:
    """As in lists: without the units, which for a hundred packages would not fit into one answer."""
    view = upload(row)
    if view.get("manifest"):
        del view["manifest"]["units"]
    return view


def declared(row: Declared) -> View:
    signed = row.signed
    how: View
    if signed is None:
        how = {"method": "MULTIPART", **(_multipart(row.upload) or {}), "expires_at": moment(row.expires_at)}
    else:
        how = {"method": signed.method, "url": signed.url, "headers": signed.headers, "expires_at": moment(row.expires_at)}
    return {**upload(row.upload), "upload": how}


def signed_part(part: SignedPart) -> View:
    signed = part.signed
    where = {"method": signed.method, "url": signed.url, "headers": signed.headers}
    return {"part_number": part.number, **where, "expires_at": moment(part.expires_at)}


def stored_part(part: StoredPart) -> View:
    return {"part_number": part.number, "size_bytes": part.size_bytes, "sha256": part.sha256}


def _multipart(row: Upload) -> View | None:
    """None when the bytes arrive in one piece. The bucket's own id of the upload is ours alone."""
    if row.multipart is None:
        return None
    return {"part_size_bytes": row.multipart.part_size_bytes, "parts_total": row.parts_total}


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
