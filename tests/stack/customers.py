"""Customers of the running stack, who know nothing but its public HTTP API."""

import hashlib
import itertools
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from local.bringup import LocalStack
from local.demo.client import CustomerClient
from local.demo.session import ENDED
from local.seed import SCOPES, operator
from tests.stack.waiting import PATIENCE_SECONDS, eventually

Json = dict[str, Any]

PASSWORD = "correct horse battery staple"
DATA = b"1 2 3 4\n"
_numbers = itertools.count(1)
_pool = urllib3.PoolManager(maxsize=16, timeout=urllib3.Timeout(connect=5.0, read=60.0), retries=False)


@dataclass(frozen=True)
class Answer:
    """What came back; ``body`` is None when it was empty."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def error(self) -> Json:
        found: Json = self.body["error"]
        return found


def call(
    method: str, url: str, *, headers: dict[str, str] | None = None, body: object = None, content: bytes | None = None
) -> Answer:
    """One request without retries; ``body`` is sent as JSON, ``content`` as it is."""
    sent = dict(headers or {})
    if body is not None:
        content = json.dumps(body).encode()
        sent.setdefault("Content-Type", "application/json")
    answer = _pool.request(method, url, body=content, headers=sent, redirect=False)
    found: Any = answer.data or None
    if found and answer.headers.get("content-type", "").startswith("application/json"):
        found = json.loads(found)
    return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, found)


class Customer:
    """One customer with an API key of every scope. ``client`` is for what must succeed, ``ask`` for looking at answers."""

    def __init__(self, *, api: str, email: str, key: str) -> None:
        self.api = api
        self.email = email
        self.key = key
        self.client = CustomerClient(api=api, key=key)

    def ask(self, method: str, path: str, *, body: object = None, headers: dict[str, str] | None = None) -> Answer:
        sent = {"X-API-Key": self.key, **(headers or {})}
        return call(method, f"{self.api}/api/v1/customer{path}", headers=sent, body=body)

    def declare(self, collection: str, content: bytes, *, sha256: str | None = None, content_type: str | None = None) -> Json:
        """A pending upload; ``sha256`` other than the content's own is a lie."""
        body = {
            "name": f"upload-{next(_numbers)}.bin",
            "size_bytes": len(content),
            "sha256": sha256 or hashlib.sha256(content).hexdigest(),
            "content_type": content_type or ("application/zip" if collection == "training-packages" else "text/plain"),
        }
        answer = self.ask("POST", f"/{collection}", body=body)
        assert answer.status == 201, answer
        declared: Json = answer.body
        return declared

    def send(self, declared: Json, content: bytes) -> Answer:
        """Puts ``content`` where the declared bytes belong, under its own length and the declared headers."""
        target = declared["upload"]
        headers = target["headers"] | {"Content-Length": str(len(content))}
        return call(target["method"], target["url"], headers=headers, content=content)

    def finalize(self, collection: str, declared: Json) -> Answer:
        return self.ask("POST", f"/{collection}/{declared['id']}/finalize")

    def upload(self, collection: str, content: bytes, folder: Path) -> Json:
        """A ready dataset or training package."""
        path = folder / f"upload-{next(_numbers)}"
        path.write_bytes(content)
        content_type = "application/zip" if collection == "training-packages" else "text/plain"
        return self.client.upload(collection, path, name=f"{path.name}.txt", content_type=content_type)

    def wish(self, package: Json, dataset: Json, **more: object) -> Json:
        """The body of a job for any machine, as short as the API allows."""
        ids = {"dataset_id": dataset["id"], "training_package_id": package["id"]}
        return {"name": "tiny", "required_vram_mb": 0, "max_runtime_seconds": 60, **ids, **more}

    def submit(self, body: Json) -> Json:
        return self.client.submit(body, idempotency_key=str(uuid.uuid4()))

    def train(self, package: bytes, folder: Path, **more: object) -> Json:
        """Uploads ``package`` with a little data and submits a job for it."""
        uploaded = self.upload("training-packages", package, folder)
        return self.submit(self.wish(uploaded, self.upload("datasets", DATA, folder), **more))

    def ended(self, job: Json, *, seconds: float = PATIENCE_SECONDS) -> Json:
        """The job once it is over."""

        def look() -> Json | None:
            seen = self.client.job(job["id"])
            return seen if seen["status"] in ENDED else None

        found = eventually(look, what=f"the end of job {job['id']}", seconds=seconds)
        assert found is not None
        return found

    def unit(self, job: Json, name: str) -> Json:
        found: Json = next(unit for unit in self.client.units(job["id"]) if unit["name"] == name)
        return found

    def running(self, job: Json, name: str, *, having: Callable[[Json], object] = bool) -> Json:
        """The unit once it runs and is as ``having`` says."""

        def look() -> Json | None:
            units = (unit for unit in self.client.units(job["id"]) if unit["name"] == name)
            return next((unit for unit in units if unit["status"] == "running" and having(unit)), None)

        found = eventually(look, what=f"unit {name} of job {job['id']} running")
        assert found is not None
        return found

    def artifact(self, job: Json, unit: str, name: str) -> bytes:
        """The bytes of one artifact of the unit with this name."""
        unit_id = self.unit(job, unit)["id"]
        listed = self.client.artifacts(job["id"])
        found = next(one for one in listed if (one["unit_id"], one["name"]) == (unit_id, name))
        return self.client.download(job["id"], found["id"])

    def balance(self) -> dict[str, int]:
        answer = self.ask("GET", "/usage/summary")
        assert answer.status == 200, answer
        found: dict[str, int] = answer.body["credits"]
        return found


def new_customer(stack: LocalStack, *, credits: int = 1_000) -> Customer:
    """A customer made by the operator, who then signs in and makes a key."""
    email = f"customer-{uuid.uuid4().hex[:12]}@example.com"
    words = ("--email", email, "--password", PASSWORD, "--credits", str(credits))
    operator("customer", *words, environment=stack.variables)
    token = sign_in(stack.api, email=email, password=PASSWORD).body["session_token"]
    headers = {"Authorization": f"Bearer {token}"}
    body = {"name": "tests", "scopes": list(SCOPES)}
    made = call("POST", f"{stack.api}/api/v1/customer/api-keys", headers=headers, body=body)
    assert made.status == 201, made
    return Customer(api=stack.api, email=email, key=made.body["key"])


def sign_in(api: str, *, email: str, password: str) -> Answer:
    return call("POST", f"{api}/api/v1/customer/auth/login", body={"email": email, "password": password})


def check_books(customer: Customer, job: Json) -> list[Json]:
    """The ledger's promises for a job that has ended; its entries, oldest first.

    One debit per completed unit of exactly its price, the rest of the hold released, and the balance adding up.
    """
    entries = customer.client.ledger(job["id"])
    amounts = {kind: sum(e["amount"] for e in entries if e["kind"] == kind) for kind in ("hold", "debit", "release")}
    completed = {u["id"]: u["credits"] for u in customer.client.units(job["id"]) if u["status"] == "completed"}
    debits = [entry for entry in entries if entry["kind"] == "debit"]
    assert {entry["unit_id"]: entry["amount"] for entry in debits} == completed
    assert len(debits) == len(completed)
    assert amounts["hold"] == job["quote"]["credits"]
    assert amounts["hold"] == amounts["debit"] + amounts["release"]
    assert job["credits_spent"] == amounts["debit"]
    balance = customer.balance()
    assert balance["available"] + balance["held"] + balance["spent"] == balance["granted"]
    return entries
