"""One job from upload to its end, watched."""

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from examples.build import build
from local.demo.client import CustomerClient
from local.demo.screen import loss_of

Json = dict[str, Any]

ENDED = frozenset({"completed", "failed", "cancelled"})
_POLL_SECONDS = 0.4
_PATIENCE_SECONDS = 1800


class StuckError(Exception):
    """The job did not end in half an hour."""


@dataclass
class Watched:
    """A job as it was last seen, and every loss that was seen on the way."""

    job: Json
    units: list[Json] = field(default_factory=list)
    losses: dict[str, list[float]] = field(default_factory=dict)

    def note_losses(self) -> None:
        """Adds the units' losses when they have changed, by the unit's name."""
        for unit in self.units:
            loss = loss_of(unit)
            if loss is not None:
                seen = self.losses.setdefault(unit["name"], [])
                if seen[-1:] != [loss]:
                    seen.append(loss)

    @property
    def running_losses(self) -> dict[str, list[float]]:
        """Of the units that run now: the others' are history."""
        running = {unit["name"] for unit in self.units if unit["status"] == "running"}
        return {name: seen for name, seen in self.losses.items() if name in running}


def submit_example(client: CustomerClient, name: str, out: Path) -> Json:
    """Builds the example, uploads its dataset and its package, and submits its job."""
    built = build(name, out)
    dataset = client.upload("datasets", built.dataset_path, name=built.dataset_name, content_type=built.dataset_content_type)
    package = client.upload("training-packages", built.package_path, name=name, content_type="application/zip")
    body = built.job | {"dataset_id": dataset["id"], "training_package_id": package["id"]}
    return client.submit(body, idempotency_key=f"demo-{uuid.uuid4()}")


def watch(client: CustomerClient, job: Json, *, on_change: Callable[[Watched], None]) -> Watched:
    """Polls until the job has ended; ``on_change`` sees every state on the way."""
    seen = Watched(job)
    pause = threading.Event()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        seen.job = client.job(job["id"])
        seen.units = client.units(job["id"])
        seen.note_losses()
        on_change(seen)
        if seen.job["status"] in ENDED:
            return seen
        if time.monotonic() > deadline:
            raise StuckError(f"job {job['id']} is {seen.job['status']} after {_PATIENCE_SECONDS} s")
        pause.wait(_POLL_SECONDS)
