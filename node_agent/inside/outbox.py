"""Filling the folder that the agent collects: packed artifacts and ``result.json``."""

import json
import resource
import shutil

from .failure import UnitFailedError
from .folders import Folders
from .metrics import last_values, write_lines
from .pack import pack_folder

RESULT = "result.json"
_MAX_MESSAGE = 900


def deliver(records: list[dict[str, object]], folders: Folders, *, max_bytes: int) -> None:
    """Packs what the unit yielded. Raises UnitFailedError(OUTPUT_TOO_LARGE)."""
    _empty(folders)
    artifacts = []
    left = max_bytes
    for name, kind, folder in (
        ("model.tar.gz", "model", folders.model),
        ("checkpoint.tar.gz", "checkpoint", folders.checkpoints),
        ("output.tar.gz", "metrics", folders.output_data),
    ):
        size = pack_folder(folder, folders.outbox / name, max_bytes=left) if folder.is_dir() else 0
        left -= size
        if size:
            artifacts.append({"name": name, "kind": kind})
    if records:
        write_lines(folders.outbox / "metrics.jsonl", records)
        artifacts.append({"name": "metrics.jsonl", "kind": "metrics"})
    _write(folders, {"status": "succeeded", "exit_code": 0, "artifacts": artifacts, "metrics": last_values(records)})


def deliver_failure(failure: UnitFailedError, folders: Folders) -> None:
    """Says why the unit failed; a failed unit yields nothing else."""
    _empty(folders)
    message = failure.message[:_MAX_MESSAGE]
    _write(folders, {"status": "failed", "code": failure.code, "message": message, "exit_code": failure.exit_code})


def _empty(folders: Folders) -> None:
    """Whatever the script put here is not the platform's word."""
    for entry in folders.outbox.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink()


def _write(folders: Folders, result: dict[str, object]) -> None:
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) // 1024
    document = {"version": 1, "peak_memory_mb": peak, **result}
    (folders.outbox / RESULT).write_text(json.dumps(document), encoding="utf-8")
