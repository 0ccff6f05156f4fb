"""How long things took, from the times that the API reports."""

import statistics
from datetime import datetime
from typing import Any

Json = dict[str, Any]


def seconds_between(start: str | None, end: str | None) -> float | None:
    """Seconds from one API timestamp to another; None when one is missing."""
    if not start or not end:
        return None
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 3)


def first_start(units: list[Json]) -> str | None:
    """When the first unit began to run."""
    started = [unit["started_at"] for unit in units if unit.get("started_at")]
    return min(started) if started else None


def timings_of(job: Json, units: list[Json]) -> Json:
    """Where the time of a job went."""
    return {
        "submit_to_first_unit_running_seconds": seconds_between(job["created_at"], first_start(units)),
        "submit_to_finished_seconds": seconds_between(job["created_at"], job["finished_at"]),
        "units_seconds": {unit["name"]: seconds_between(unit["started_at"], unit["finished_at"]) for unit in units},
    }


def spread(samples: list[float]) -> Json:
    """Median and extremes of repeated measurements."""
    return {
        "samples": samples,
        "p50_seconds": round(statistics.median(samples), 3) if samples else None,
        "min_seconds": min(samples, default=None),
        "max_seconds": max(samples, default=None),
    }
