"""The customer door on the in-memory platform, and customers who come through it.

Every answer is held against the published document: status, shape and error envelope.
"""

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NoReturn

import httpx

from functions.customer_api import shapes
from functions.customer_api.app import create_app
from functions.customer_api.routes import PREFIX
from gpupool.accounts.model import Scope
from gpupool.bootstrap import build_customer_core
from gpupool.clock import FixedClock
from gpupool.objects.model import SignedPut
from gpupool.twins import MemoryPorts
from tests.support.asgi import AsgiClient
from tests.support.packages import a_package

PASSWORD = "correct horse"
KEPT = (f"{PREFIX}/config", f"{PREFIX}/meta")
SEED_SCOPES = (Scope.DATASET_WRITE, Scope.TRAINING_WRITE, Scope.ARTIFACT_READ)


@cache
def document() -> dict[str, Any]:
    """The published document."""
    return create_app(_no_core).openapi()


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and operation of everything in the document."""
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


@cache
def _patterns() -> list[tuple[str, re.Pattern[str], dict[str, Any]]]:
    return [(method, re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)), found) for method, path, found in operations()]


def operation_of(method: str, path: str) -> dict[str, Any] | None:
    """The operation that a request came to, None where there is no route."""
    return next((found for known, pattern, found in _patterns() if known == method and pattern.fullmatch(path)), None)


def _no_core() -> NoReturn:
    raise AssertionError("nobody calls")


class Door:
    def __init__(self, ports: MemoryPorts | None = None) -> None:
        self.ports = ports or MemoryPorts(clock=FixedClock())
        self.world = self.ports.world
        self.core = build_customer_core(self.ports)
        self.app = create_app(lambda: self.core)

    def customer(
        self, email: str = "ada@example.com", *, scopes: tuple[Scope, ...] | None = None, credits: int = 1000
    ) -> "Visitor":
        """A new customer with credits; by API key with ``scopes``, by session when None."""
        customer = self.core.accounts.create_customer(email=email, password=PASSWORD, name="Ada")
        if credits:
            self.core.credits.grant(customer.id, amount=credits, note="")
        if scopes is None:
            token = self.core.accounts.login(email=email, password=PASSWORD).token
            return Visitor(self, customer.id, {"authorization": f"Bearer {token}"})
        return Visitor(self, customer.id, self.key(customer.id, scopes))

    def key(self, customer_id: str, scopes: tuple[Scope, ...] = SEED_SCOPES) -> dict[str, str]:
        made = self.core.accounts.create_key(customer_id, name="k", scopes=frozenset(scopes), expires_at=None)
        return {"x-api-key": made.plaintext}

    def stranger(self) -> "Visitor":
        return Visitor(self, "", {})

    def check(self, method: str, answer: httpx.Response) -> None:
        assert answer.headers["x-request-id"]
        assert answer.headers["cache-control"] == ("no-store" if answer.request.url.path not in KEPT else "public, max-age=300")
        assert {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"} <= set(answer.headers)
        if answer.status_code == 304:
            assert not answer.content
            return
        operation = operation_of(method, answer.request.url.path)
        told = (operation or {}).get("responses", {}).get(str(answer.status_code), {})
        if answer.status_code >= 400:
            error = shapes.Error.model_validate(answer.json()).error
            assert error.request_id == answer.headers["x-request-id"]
            assert error.message
            # A code that the document does not tell belongs into ``refuses`` of the operation's note.
            assert operation is None or error.code in told["content"]["application/json"]["examples"], error.code
            return
        assert operation is not None
        assert told, f"{answer.status_code} of {operation['operationId']} is not in the document"
        media_type = answer.headers.get("content-type", "").partition(";")[0]
        assert media_type in {known.partition(";")[0] for known in told.get("content", {"": None})}
        status, model = shapes.ANSWERS[operation["operationId"]]
        if model is not None and answer.status_code == status:
            model.model_validate_json(answer.content)


class Visitor:
    def __init__(self, door: Door, customer_id: str, headers: dict[str, str]) -> None:
        self.door = door
        self.id = customer_id
        self.headers = headers
        self._client = AsgiClient(door.app)

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = self.headers | options.pop("headers", {})
        answer = self._client.request(method, PREFIX + path, headers=headers, **options)
        self.door.check(method, answer)
        return answer

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.send("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> httpx.Response:
        return self.send("POST", path, **({"json": json} if json is not None else {}), **options)

    def delete(self, path: str) -> httpx.Response:
        return self.send("DELETE", path)

    def declare(self, resource: str, body: bytes, **changes: Any) -> dict[str, Any]:
        declared = {"name": "digits", "size_bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()} | changes
        answer = self.post(f"/{resource}", declared)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def upload(self, resource: str, body: bytes, **changes: Any) -> dict[str, Any]:
        """Declares, sends and finalizes."""
        declared = self.declare(resource, body, **changes)
        how = declared["upload"]
        assert self.door.ports.objects.upload(SignedPut(how["url"], how["headers"], how["method"]), body)
        answer = self.post(f"/{resource}/{declared['id']}/finalize")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def job_request(self, **changes: Any) -> dict[str, Any]:
        """A request for a job on freshly uploaded inputs."""
        request = {
            "name": "tiny-mlp",
            "dataset_id": self.upload("datasets", b"rows")["id"],
            "training_package_id": self.upload("training-packages", a_package())["id"],
            "required_vram_mb": 0,
            "max_runtime_seconds": 600,
        }
        return {name: value for name, value in (request | changes).items() if value is not None}

    def job(self, **changes: Any) -> dict[str, Any]:
        answer = self.post("/training-jobs", self.job_request(**changes))
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found
