"""``python -m bench.api.run``: cold import and warm GET, ours and the baseline's, taken in turns."""

import json
import subprocess
import sys
import time
from typing import Any

from bench.api import bare
from bench.api.platform import Context, Handler, door, get_job_event
from bench.stats import Sample, paired_ratio

TARGET = 1.5
_IMPORTS = 15
_BATCHES = 60
_BATCH = 25
_TIMED_IMPORT = "import time; start = time.perf_counter(); import {module}; print((time.perf_counter() - start) * 1000)"


def cold_import(module: str) -> float:
    """Milliseconds that a fresh interpreter spends on ``import module``; byte code is cached, as in a built bundle."""
    result = subprocess.run(
        [sys.executable, "-c", _TIMED_IMPORT.format(module=module)], capture_output=True, text=True, check=True
    )
    return float(result.stdout)


def batch(handler: Handler, event: dict[str, Any]) -> float:
    """Milliseconds per request over one batch of warm requests."""
    start = time.perf_counter()
    for _ in range(_BATCH):
        answer = handler(event, Context())
        if answer["statusCode"] != 200:
            raise RuntimeError(answer["body"])
    return (time.perf_counter() - start) * 1000 / _BATCH


def in_turns(ours: Any, baseline: Any, *, rounds: int) -> tuple[list[float], list[float]]:
    """Both measured ``rounds`` times, alternating; the first round of each is a warm-up and is dropped."""
    mine, theirs = [], []
    for _ in range(rounds + 1):
        mine.append(ours())
        theirs.append(baseline())
    return mine[1:], theirs[1:]


def run() -> dict[str, Any]:
    """Both comparisons, as JSON values; prints a table on the way."""
    ours, headers = door()
    event = get_job_event(headers)
    bare.ANSWER.update(json.loads(ours(event, Context())["body"]))
    comparisons = {
        "cold_import_ms": in_turns(
            lambda: cold_import("functions.customer_api.handler"), lambda: cold_import("bench.api.bare"), rounds=_IMPORTS
        ),
        "warm_get_job_ms": in_turns(lambda: batch(ours, event), lambda: batch(bare.handler, event), rounds=_BATCHES),
    }
    return {name: _compare(name, mine, theirs) for name, (mine, theirs) in comparisons.items()}


def _compare(name: str, mine: list[float], theirs: list[float]) -> dict[str, Any]:
    ratio, low, high = paired_ratio(mine, theirs)
    ours, baseline = Sample.of("ours", mine), Sample.of("bare FastAPI + Mangum", theirs)
    print(
        f"{name:16} ours {ours.median:8.3f} [{ours.low:.3f}, {ours.high:.3f}]   "
        f"bare {baseline.median:8.3f} [{baseline.low:.3f}, {baseline.high:.3f}]   "
        f"ratio {ratio:.2f} [{low:.2f}, {high:.2f}]  target <= {TARGET}"
    )
    return {"ours": ours.as_json(), "baseline": baseline.as_json(), "ratio": ratio, "ratio_p10": low, "ratio_p90": high}


if __name__ == "__main__":
    run()
