"""The whole platform behind the customer door, for requests that nobody wrote: one customer who may do everything, at any rate.

What a request makes can be used by the next: declared bytes arrive, jobs are worked off or wait.
"""

import hashlib
import itertools
from collections.abc import Callable
from typing import Any

from gpupool.bootstrap import build_deliverer
from gpupool.clock import FixedClock
from gpupool.objects.model import SignedPut
from gpupool.twins import MemoryPorts
from tests.platform import Machine, Platform
from tests.support.customer_door import PASSWORD, Door
from tests.support.packages import a_package

Json = dict[str, Any]

_UNLIMITED = {
    "requests_per_minute": 1_000_000,
    "jobs_per_minute": 1_000_000,
    "logins_per_minute": 1_000_000,
    "live_jobs": 1_000,
    "units_per_day": 1_000_000,
}
_OTHER_SPELLINGS = {"min_vram_mb", "max_runtime_minutes", "parameters", "sensitivity"}
_BYTES = {"createDataset": b"rows", "createTrainingPackage": a_package()}


class OpenHouse:
    """``prepare`` and ``follow`` know some operations by name; those that they do not know work too, with less depth."""

    def __init__(self) -> None:
        settings = MemoryPorts(clock=FixedClock()).settings.model_copy(update=_UNLIMITED)
        self.platform = Platform(settings=settings)
        count = itertools.count()
        # Lists of keys are in the order of these digits; the same requests have to meet the same lists.
        self.platform.ports.random_hex = lambda size: hashlib.sha256(str(next(count)).encode()).hexdigest()[: 2 * size]
        self.door = Door(self.platform.ports)
        self.visitor = self.door.customer("ada@example.com", credits=1_000_000)
        self._inputs = self.visitor.job_request()
        self._prepare: dict[str, Callable[[Json], Json]] = {
            "createDataset": lambda body: _declared(body, _BYTES["createDataset"]),
            "createTrainingPackage": lambda body: _declared(body, _BYTES["createTrainingPackage"]),
            "createTrainingJob": self._ordered,
            "createWebhook": lambda body: body | {"url": "https://receiver.example/"},
            "login": lambda body: body | {"email": "ada@example.com", "password": PASSWORD},
        }

    @property
    def headers(self) -> dict[str, str]:
        """A session that is there whatever was signed out or revoked before."""
        token = self.door.core.accounts.login(email="ada@example.com", password=PASSWORD).token
        return {"authorization": f"Bearer {token}"}

    def prepare(self, operation: str, body: Any) -> Any:
        """``body`` with what a client of this customer would know: its ids, its bytes, its password."""
        known = self._prepare.get(operation)
        return body if known is None or not isinstance(body, dict) else known(body)

    def follow(self, operation: str, answer: Json) -> None:
        """What happens outside of the door after a success."""
        if operation in _BYTES and "upload" in answer:
            how = answer["upload"]
            self.door.ports.objects.upload(SignedPut(how["url"], how["headers"], how["method"]), _BYTES[operation])
        if operation == "createWebhook":
            self._deliver_to(answer["id"])
        if operation == "createTrainingJob":
            self.platform.settle()
            if len(answer["name"]) % 4:  # as good as dice, and the same in every run
                Machine(self.platform).work_off()

    def _deliver_to(self, webhook: str) -> None:
        """Two events reach the new webhook, so that its log has something to read and to replay."""
        door = self.door
        for _ in range(2):
            door.core.webhooks.test(self.visitor.id, webhook, idempotency_key=None)
        deliverer = build_deliverer(door.ports)
        while (ref := door.ports.webhook_queue.take()) is not None:
            deliverer.deliver(ref)

    def _ordered(self, body: Json) -> Json:
        """Most made-up jobs contradict themselves: two spellings, parameters that the package lacks, too many credits."""
        plain = {name: value for name, value in body.items() if name not in _OTHER_SPELLINGS}
        known = {name: self._inputs[name] for name in plain if name.endswith("_id")}
        return plain | known | {"required_vram_mb": 0, "required_disk_mb": 64}


def _declared(body: Json, content: bytes) -> Json:
    described: Json = {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return body | {name: value for name, value in described.items() if name in body}
