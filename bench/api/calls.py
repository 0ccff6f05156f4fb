"""``python -m bench.api.calls``: what requests cost beside the AWS calls that they have to make.

Each request's own AWS calls are timed within it, so ratio = whole request / sum of its calls, request by request.
"""

import json
import statistics
import time
import uuid
from collections.abc import Callable
from typing import Any

from bench.api.emulated import Emulated, emulated
from bench.api.platform import Context, event
from bench.stats import Sample, paired_ratio

TARGET = 1.3
_REQUESTS = 120
_WARM_UP = 10
_SMALL, _LARGE = 100, 10_000
Event = dict[str, Any]


def run() -> dict[str, Any]:
    """Times and counts, as JSON values; prints tables on the way."""
    with emulated() as door:
        door.add_jobs(_SMALL)
        small = _count(door, _events(door)["GET list of 50"]())
        door.add_jobs(_LARGE - _SMALL)
        timed = {name: _time(door, name, make) for name, make in _events(door).items()}
        counted = {name: _count(door, make()) for name, make in _events(door).items()}
    print(f"{'AWS calls per request':22} {'calls':>5}  units  what")
    for name, found in counted.items():
        print(f"{name:22} {len(found['calls']):5}  {found['capacity_units']:10.1f}  {', '.join(found['calls'])}")
    large = counted["GET list of 50"]
    print(
        f"listing 50 of {_SMALL}: {len(small['calls'])} calls, {small['capacity_units']:.1f} units; "
        f"of {_LARGE:,}: {len(large['calls'])} calls, {large['capacity_units']:.1f} units"
    )
    return {"times": timed, "counts": counted, "list_of_few": small, "few": _SMALL, "many": _LARGE}


def _events(door: Emulated) -> dict[str, Callable[[], Event]]:
    """The measured requests, made anew for each use."""
    jobs = "/api/v1/customer/training-jobs"

    def submit() -> Event:
        headers = door.headers | {"content-type": "application/json", "idempotency-key": str(uuid.uuid4())}
        return event("POST", jobs, headers, body=json.dumps(door.submission))

    return {
        "GET job": lambda: event("GET", f"{jobs}/{door.job_id}", door.headers),
        "GET list of 50": lambda: event("GET", jobs, door.headers, query="limit=50"),
        "POST job": submit,
    }


def _send(door: Emulated, request: Event) -> float:
    """Milliseconds of one request."""
    start = time.perf_counter()
    answer = door.handler(request, Context())
    took = (time.perf_counter() - start) * 1000
    if answer["statusCode"] not in (200, 201):
        raise RuntimeError(answer["body"])
    return took


def _time(door: Emulated, name: str, make: Callable[[], Event]) -> dict[str, Any]:
    whole, inside = [], []
    for number in range(_WARM_UP + _REQUESTS):
        request = make()
        door.meter.reset()
        took = _send(door, request)
        if number >= _WARM_UP:
            whole.append(took)
            inside.append(door.meter.seconds * 1000)
    ratio, low, high = paired_ratio(whole, inside)
    asked, calls = Sample.of(name, whole), Sample.of("its AWS calls", inside)
    print(
        f"{name:16} p50 {asked.median:7.2f} ms [{asked.low:.2f}, {asked.high:.2f}]   its AWS calls {calls.median:7.2f} ms"
        f"   ratio {ratio:.2f} [{low:.2f}, {high:.2f}]  target <= {TARGET}   ours {asked.median - calls.median:.2f} ms"
    )
    ours = statistics.median(mine - theirs for mine, theirs in zip(whole, inside, strict=True))
    return {"request": asked.as_json(), "calls": calls.as_json(), "ratio": ratio, "low": low, "high": high, "ours_ms": ours}


def _count(door: Emulated, request: Event) -> dict[str, Any]:
    door.meter.reset(count_units=True)
    _send(door, request)
    return {"calls": list(door.meter.calls), "capacity_units": door.meter.capacity_units}


if __name__ == "__main__":
    run()
