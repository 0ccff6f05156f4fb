"""The whole platform behind the customer door, for requests that nobody wrote: one customer who may do everything, at any rate.

What a request makes can be used by the next: declared bytes arrive, jobs are worked off or wait.
"""

import itertools
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from typing import Any

from gpupool.bootstrap import build_deliverer
from gpupool.clock import FixedClock
from gpupool.errors import Conflict
from gpupool.objects.model import SignedPut
from gpupool.twins import MemoryPorts
from gpupool.uploads.model import Declaration, UploadKind
from gpupool.uploads.parts import MIN_PART_BYTES
from tests.factories import a_request
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
_ROWS = b"rows"
# A dataset in parts, of which only the last, of 8 bytes, is ever sent.
_LAST = 13
_PART = b"the last"
_LARGE = (_LAST - 1) * MIN_PART_BYTES + len(_PART)
_PACKAGE = a_package()


class OpenHouse:
    """``prepare`` and ``follow`` know some operations by name; those that they do not know work too, with less depth."""

    def __init__(self) -> None:
        settings = MemoryPorts(clock=FixedClock()).settings.model_copy(update=_UNLIMITED)
        self.platform = Platform(settings=settings)
        count = itertools.count()
        # Lists of keys are in the order of these digits; the same requests have to meet the same lists.
        self.platform.ports.random_hex = lambda size: sha256(str(next(count)).encode()).hexdigest()[: 2 * size]
        self.door = Door(self.platform.ports)
        self.visitor = self.door.customer("ada@example.com", credits=1_000_000)
        dataset, package = self._uploaded(UploadKind.DATASET, _ROWS), self._uploaded(UploadKind.TRAINING_PACKAGE, _PACKAGE)
        self._inputs = {"dataset_id": dataset, "training_package_id": package}
        self._prepare: dict[str, Callable[[Json], Json]] = {
            "createDataset": lambda body: _declared(body, _ROWS) | ({} if _coin(body) else {"size_bytes": _LARGE}),
            "createDatasetPartUrls": lambda _: {"parts": [{"part_number": _LAST, "sha256": sha256(_PART).hexdigest()}]},
            "createTrainingPackage": lambda body: _declared(body, _PACKAGE),
            "createTrainingJob": self._ordered,
            "createWebhook": lambda body: body | {"url": "https://receiver.example/"},
            "login": lambda body: body | {"email": "ada@example.com", "password": PASSWORD},
        }
        self.door.core.jobs.submit(self.visitor.id, a_request(name="over", **self._inputs), idempotency_key=None)
        self._work_off()

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
        arriving = {
            "createDataset": [(answer.get("upload"), _ROWS)],
            "createTrainingPackage": [(answer.get("upload"), _PACKAGE)],
            "createDatasetPartUrls": [(part, _PART) for part in answer.get("parts", ())],
        }
        for how, content in arriving.get(operation, ()):
            if how and "url" in how:
                self.door.ports.objects.upload(SignedPut(how["url"], how["headers"], how["method"]), content)
        if operation == "createWebhook":
            self._deliver_to(answer["id"])
        if operation == "createTrainingJob" and _coin(answer):
            self._work_off()

    def _uploaded(self, kind: UploadKind, content: bytes) -> str:
        """An input that has been there; not through the door, at which houses would spend most of their making."""
        uploads = self.door.core.uploads
        declaration = Declaration("inputs.zip", len(content), sha256(content).hexdigest(), "application/zip")
        declared = uploads.declare(self.visitor.id, kind, declaration)
        assert declared.signed is not None
        assert self.door.ports.objects.upload(declared.signed, content)
        return uploads.finalize(self.visitor.id, kind, declared.upload.id).id

    def _work_off(self) -> None:
        """Completes what rings; units of cancelled jobs ring too, and need nobody."""
        machine = Machine(self.platform)
        self.platform.settle()
        while (bell := machine.receive()) is not None:
            with suppress(Conflict):
                machine.complete(machine.claim(bell))
            self.platform.settle()

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


def _coin(thing: Json) -> bool:
    """As good as a toss, and the same in every run."""
    return len(str(thing.get("name"))) % 2 == 1


def _declared(body: Json, content: bytes) -> Json:
    described: Json = {"size_bytes": len(content), "sha256": sha256(content).hexdigest()}
    return body | {name: value for name, value in described.items() if name in body}
