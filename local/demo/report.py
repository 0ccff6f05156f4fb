"""What came of the job: everything the API says about it, and whether it adds up."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

from local.demo.client import CustomerClient
from local.demo.curve import Series, draw, read_curves
from local.demo.session import Watched
from local.demo.timings import spread, timings_of

Json = dict[str, Any]

_WANTED_ACCURACY = 0.95
_ACCURACIES = ("test_accuracy", "validation_accuracy")


def build_report(client: CustomerClient, seen: Watched, *, dispatch: list[float]) -> Json:
    """The demo report. ``checks`` are the promises of the platform, computed from the answers of its API."""
    job_id = seen.job["id"]
    entries = client.ledger(job_id)
    artifacts = client.artifacts(job_id)
    accuracy = accuracy_of(seen.units)
    timings = timings_of(seen.job, seen.units) | {"warm_submit_to_first_unit_running": spread(dispatch)}
    return {
        "job": seen.job,
        "units": seen.units,
        "attempts": {unit["name"]: unit["attempt"] for unit in seen.units},
        "artifacts": artifacts,
        "ledger_entries": entries,
        "credits": credits_of(seen.job, entries),
        "accuracy": accuracy,
        "timings": timings,
        "checks": checks_of(seen.job, seen.units, entries) | accuracy_check(accuracy),
    }


def credits_of(job: Json, entries: list[Json]) -> Json:
    """Quoted, spent and released."""
    return {
        "quoted": job["quote"]["credits"],
        "held": total(entries, "hold"),
        "spent": total(entries, "debit"),
        "released": total(entries, "release"),
    }


def checks_of(job: Json, units: list[Json], entries: list[Json]) -> dict[str, bool]:
    """One debit per completed unit and none else; what was held is spent or released."""
    debited = sorted(entry["unit_id"] for entry in entries if entry["kind"] == "debit")
    completed = sorted(unit["id"] for unit in units if unit["status"] == "completed")
    return {
        "job_completed": job["status"] == "completed",
        "one_debit_per_completed_unit": debited == completed,
        "hold_released": total(entries, "hold") == total(entries, "debit") + total(entries, "release"),
        "spent_within_quote": total(entries, "debit") <= job["quote"]["credits"],
    }


def accuracy_check(accuracy: float | None) -> dict[str, bool]:
    """The examples that report an accuracy have to reach 95 %; a language model has none."""
    return {} if accuracy is None else {"accuracy_above_95_percent": accuracy > _WANTED_ACCURACY}


def total(entries: list[Json], kind: str) -> int:
    """Credits moved by one kind of entry, without sign."""
    return sum(abs(int(entry["amount"])) for entry in entries if entry["kind"] == kind)


def accuracy_of(units: list[Json]) -> float | None:
    """The best accuracy that a completed unit reports, test before validation."""
    for name in _ACCURACIES:
        found = [
            float(unit["progress"]["metrics"][name])
            for unit in units
            if unit["status"] == "completed" and name in (unit["progress"].get("metrics") or {})
        ]
        if found:
            return max(found)
    return None


def draw_curve(client: CustomerClient, seen: Watched, artifacts: list[Json], path: Path) -> bool:
    """Draws what the training units wrote into their metrics; False when there was nothing to draw."""
    training = {unit["id"]: unit["name"] for unit in seen.units if unit["name"].startswith("train")}
    curves: Series = {}
    for artifact in artifacts:
        if artifact["name"] == "metrics.jsonl" and artifact["unit_id"] in training:
            prefix = f"{training[artifact['unit_id']]} " if len(training) > 1 else ""
            curves |= read_curves(client.download(seen.job["id"], artifact["id"]), prefix=prefix)
    if curves:
        draw(curves, path, title=f"{seen.job['name']}: learning curve")
    return bool(curves)


def selection_of(client: CustomerClient, seen: Watched, artifacts: list[Json]) -> Json | None:
    """What a sweep chose, from the output of its select unit; None for other jobs."""
    select = next((unit["id"] for unit in seen.units if unit["name"] == "select"), None)
    output = next((one for one in artifacts if one["unit_id"] == select and one["name"] == "output.tar.gz"), None)
    if output is None:
        return None
    with tarfile.open(fileobj=io.BytesIO(client.download(seen.job["id"], output["id"]))) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.name.endswith("selection.json") else None
            if content is not None:
                chosen: Json = json.load(content)
                return chosen
    return None
