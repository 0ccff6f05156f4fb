"""How long a warm stack takes from a submit to the first running unit: a few jobs, each cancelled once it runs."""

import threading
import time
import uuid
from typing import Any

from local.demo.client import CustomerClient
from local.demo.session import ENDED
from local.demo.timings import first_start, seconds_between

Json = dict[str, Any]

_PATIENCE_SECONDS = 30
_POLL_SECONDS = 0.1


def measure_dispatch(client: CustomerClient, template: Json, *, count: int) -> list[float]:
    """Seconds from the job's creation to its first unit's start, ``count`` times; a probe that never ran is left out."""
    samples = [_one(client, template) for _ in range(count)]
    return [sample for sample in samples if sample is not None]


def _one(client: CustomerClient, template: Json) -> float | None:
    body = template | {"name": "dispatch-probe"}
    job = client.submit(body, idempotency_key=f"probe-{uuid.uuid4()}")
    pause = threading.Event()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    started = None
    while started is None and time.monotonic() < deadline:
        pause.wait(_POLL_SECONDS)
        started = first_start(client.units(job["id"]))
    client.cancel(job["id"])
    while client.job(job["id"])["status"] not in ENDED and time.monotonic() < deadline:
        pause.wait(_POLL_SECONDS)
    return seconds_between(job["created_at"], started)
