"""A control plane for the agent's tests that speaks the real wire over real HTTP on localhost.

One server plays the node door, the queue service and the object store. It keeps leases the way the real one does, so that
a stale report is refused, and every kind of trouble can be ordered: an answer that never arrives, a refusal, silence.
"""

import hashlib
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from gpupool.wire import units as wire
from gpupool.wire.errors import NodeErrorCode
from gpupool.wire.joining import CredentialsResponse, Doorbell, PairResponse, QueueGrant
from gpupool.wire.vocabulary import CapabilityClass, UnitKind, UnitRole
from tests.agent.fake_http import Answer, Handler, Trouble, refusal

DEVICE_KEY = "nk_node-1_secret"
JOB_ID = "01930000-0000-7000-8000-000000000001"
PAIRING_CODE = "ABCD-EFGH-JKLM"
_EXPIRING = ("/blobs/", "/uploads/")


@dataclass
class FakeUnit:
    """One unit's row and what was reported about it."""

    unit_id: str
    role: UnitRole
    fields: dict[str, Any]
    status: str = "queued"
    attempt: int = 0
    lease_token: str = ""
    # How it was claimed, as its holder has to say again with every beat and report.
    doorway: dict[str, str] | None = None
    verdict: wire.UnitVerdict = wire.UnitVerdict.CONTINUE
    uploads: dict[str, str] = field(default_factory=dict)
    progress: list[dict[str, Any]] = field(default_factory=list)
    completed: dict[str, Any] | None = None
    failures: list[dict[str, Any]] = field(default_factory=list)


class FakeControlPlane:
    """Use as a context manager. Public attributes may be read and changed by tests while agents run."""

    def __init__(self, *, heartbeat_seconds: int = 1, lease_seconds: int = 60) -> None:
        self.heartbeat_seconds = heartbeat_seconds
        self.lease_seconds = lease_seconds
        self.credentials_seconds = 3600
        self.capabilities = [CapabilityClass.CPU]
        self.units: dict[str, FakeUnit] = {}
        self.blobs: dict[str, bytes] = {}
        self.calls: Counter[str] = Counter()
        self.heartbeats: list[dict[str, Any]] = []
        self.declined: list[str] = []
        self.reported: list[dict[str, Any]] = []
        self.troubles: dict[str, list[Trouble]] = {}
        self.unreachable = False
        self.needs_per_page = 50
        self.listed: list[wire.InputsRequest] = []
        self.url_uses: int | None = None  # a URL is refused once the store was called so often since it was made
        self._store_calls = 0
        self._messages: dict[str, list[tuple[str, str]]] = {}
        self._rang = threading.Condition()
        self._closing = False
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.answer = self.answer  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "FakeControlPlane":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        with self._rang:
            self._closing = True
            self._rang.notify_all()
        self._server.shutdown()
        self._server.server_close()

    # What tests order

    def add_unit(self, index: int = 1, *, role: UnitRole = UnitRole.TRAIN, ring: str = "public-cpu", **fields: Any) -> FakeUnit:
        """A queued unit; its doorbell rings at once on the queue ``ring``."""
        unit = FakeUnit(unit_id=unit_id(index), role=role, fields=fields)
        self.units[unit.unit_id] = unit
        self.ring(unit.unit_id, queue=ring)
        return unit

    def ring(self, unit_id: str, *, queue: str = "public-cpu") -> None:
        attempt = self.units[unit_id].attempt if unit_id in self.units else 0
        self.put_message(Doorbell(job_id=JOB_ID, unit_id=unit_id, attempt=attempt).model_dump_json(), queue=queue)

    def put_message(self, body: str, *, queue: str = "public-cpu") -> None:
        with self._rang:
            self._messages.setdefault(queue, []).append((uuid.uuid4().hex, body))
            self._rang.notify_all()

    def trouble(self, step: str, *troubles: Trouble) -> None:
        """The next calls of ``step`` meet ``troubles``, one each.

        A step is the last part of a node door path, or ``get``, ``put``, ``receive``.
        """
        self.troubles.setdefault(step, []).extend(troubles)

    def store(self, content: bytes) -> wire.Download:
        """An object to download."""
        sha256 = hashlib.sha256(content).hexdigest()
        self.blobs[f"/blobs/{sha256}"] = content
        return wire.Download(url=f"{self.url}/blobs/{sha256}", sha256=sha256, size_bytes=len(content))

    def uploaded(self, unit: FakeUnit, name: str) -> bytes:
        return self.blobs[f"/uploads/{unit.unit_id}/{unit.attempt}/{name}"]

    # The wire

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer | None:
        """None: close the connection without an answer."""
        step = step_of(method, path)
        with self._lock:
            self.calls[step] += 1
            self._store_calls += path.startswith(_EXPIRING)
            if self.unreachable:
                return None
            waiting = self.troubles.get(step)
            trouble = waiting.pop(0) if waiting else None
        if trouble is not None and trouble.instead is not None:
            return trouble.instead
        if trouble is not None and trouble.before:
            return None
        answer = self._answer(method, path, headers, body)
        return None if trouble is not None and trouble.after else answer

    def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer | None:
        if "x-amz-target" in headers:
            return self._receive(json.loads(body))
        if path.startswith(("/blobs/", "/uploads/", "/logs/")):
            return self._object(method, path, headers, body)
        if headers.get("x-gpupool-protocol") != "1":
            return refusal(400, NodeErrorCode.PROTOCOL_UNSUPPORTED)
        if path == "/api/v1/node/pair":
            return self._pair(json.loads(body))
        if headers.get("authorization") != f"Bearer {DEVICE_KEY}":
            return refusal(401, NodeErrorCode.NODE_AUTH_REQUIRED)
        with self._lock:
            return self._node_call(path.removeprefix("/api/v1/node/"), json.loads(body or b"{}"))

    def _node_call(self, path: str, request: dict[str, Any]) -> Answer:
        if path == "credentials":
            return Answer.of(self._credentials(request))
        if path == "heartbeat":
            return Answer.of(self._heartbeat(request))
        _, unit_id, step = path.split("/")
        unit = self.units.get(unquote(unit_id))
        if unit is None:
            return refusal(409, NodeErrorCode.UNIT_GONE)
        steps: dict[str, Callable[[FakeUnit, dict[str, Any]], Answer]] = {
            "claim": self._claim,
            "decline": self._decline,
            "inputs": self._inputs,
            "outputs": self._outputs,
            "complete": self._complete,
            "fail": self._fail,
        }
        return steps[step](unit, request)

    def _pair(self, request: dict[str, Any]) -> Answer:
        if request["code"] != PAIRING_CODE:
            return refusal(400, NodeErrorCode.PAIRING_CODE_INVALID)
        self.reported.append(request["capabilities"])
        return Answer.of(PairResponse(node_id="node-1", device_key=DEVICE_KEY, tier="community"))

    def _credentials(self, request: dict[str, Any]) -> CredentialsResponse:
        self.reported.append(request["capabilities"])
        return CredentialsResponse(
            access_key_id="AKIDEXAMPLE",
            secret_access_key="secret",
            session_token="token",
            expires_at=datetime.now(UTC) + timedelta(seconds=self.credentials_seconds),
            region="eu-west-1",
            queues=[
                QueueGrant(capability=capability, pool="public", url=f"{self.url}/000000000000/public-{capability.value}")
                for capability in self.capabilities
            ],
            heartbeat_seconds=self.heartbeat_seconds,
            lease_seconds=self.lease_seconds,
        )

    def _receive(self, request: dict[str, Any]) -> Answer:
        queue = request["QueueUrl"].rpartition("/")[2]
        deadline = time.monotonic() + request.get("WaitTimeSeconds", 0)
        with self._rang:
            self._rang.wait_for(lambda: self._messages.get(queue) or self._closing, timeout=deadline - time.monotonic())
            if not self._messages.get(queue):
                return Answer.of({})
            handle, body = self._messages[queue].pop(0)
        digest = hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()
        return Answer.of({"Messages": [{"MessageId": handle, "ReceiptHandle": handle, "Body": body, "MD5OfBody": digest}]})

    def _claim(self, unit: FakeUnit, request: dict[str, Any]) -> Answer:
        asked = wire.ClaimRequest.model_validate(request)
        if unit.status == "running":
            return refusal(409, NodeErrorCode.UNIT_LEASED)
        if unit.status != "queued":
            return refusal(409, NodeErrorCode.UNIT_GONE)
        unit.status, unit.attempt, unit.lease_token = "running", unit.attempt + 1, uuid.uuid4().hex
        unit.doorway = asked.doorway.model_dump()
        return Answer.of(self.grant(unit))

    def grant(self, unit: FakeUnit) -> wire.UnitGrant:
        package = self.store(b"a package")
        values: dict[str, Any] = {
            "unit_id": unit.unit_id,
            "job_id": JOB_ID,
            "name": unit.role.value,
            "role": unit.role,
            "kind": UnitKind.CPU,
            "attempt": unit.attempt,
            "lease_token": unit.lease_token,
            "lease_expires_at": datetime.now(UTC) + timedelta(seconds=self.lease_seconds),
            "required_vram_mb": 0,
            "entry": "train.py",
            "package": package,
            "dataset": wire.DatasetInput(name="data.csv", content_type="text/csv", download=self.store(b"1,2,3\n")),
            "limits": wire.Limits(
                wall_seconds=600, memory_mb=1000, disk_mb=1000, processes=50, log_bytes=100_000, output_bytes=1_000_000
            ),
        }
        whole = wire.UnitGrant(**{**values, **unit.fields})
        lease = wire.Lease(attempt=1, lease_token="")
        first = wire.InputsRequest(lease=lease, outputs=unit.role is not UnitRole.SELECT)
        return whole.model_copy(update=dict(self._page(whole, first)))

    def _inputs(self, unit: FakeUnit, request: dict[str, Any]) -> Answer:
        asked = wire.InputsRequest.model_validate(request)
        if not holds(unit, asked.lease):
            return refusal(409, NodeErrorCode.LEASE_LOST)
        self.listed.append(asked)
        whole = self.grant(unit).model_copy(update={"needs": unit.fields.get("needs", [])})
        return Answer.of(self._page(whole, asked))

    def _page(self, whole: wire.UnitGrant, asked: wire.InputsRequest) -> wire.InputsResponse:
        start = int(asked.cursor or 0)
        stop = start + self.needs_per_page
        needs, more = whole.needs[start:stop], str(stop) if stop < len(whole.needs) else None
        if asked.only is not None:
            needs, more = [need for need in whole.needs if need.unit_id in asked.only], None
        if not asked.outputs:
            needs = [need.model_copy(update={"outputs": []}) for need in needs]
        document = whole.model_copy(update={"needs": needs, "more_needs": more}).model_dump()
        document = {name: document[name] for name in wire.InputsResponse.model_fields}
        outputs = [output["download"] for need in document["needs"] for output in need["outputs"]]
        for download in (document["package"], document["dataset"]["download"], *outputs):
            download["url"] = self._fresh(download["url"])
        return wire.InputsResponse.model_validate(document)

    def _fresh(self, url: str) -> str:
        return f"{url.partition('?')[0]}?made={self._store_calls}"

    def _decline(self, unit: FakeUnit, request: dict[str, Any]) -> Answer:
        wire.ClaimRequest.model_validate(request)
        self.declined.append(unit.unit_id)
        return Answer(status=204)

    def _heartbeat(self, request: dict[str, Any]) -> wire.HeartbeatResponse:
        self.heartbeats.append(request)
        running = wire.HeartbeatRequest.model_validate(request).units
        return wire.HeartbeatResponse(
            units=[self._instruction(unit) for unit in running], heartbeat_seconds=self.heartbeat_seconds
        )

    def _instruction(self, running: wire.RunningUnit) -> wire.UnitInstruction:
        unit = self.units.get(running.unit_id)
        if unit is None or not holds(unit, running.lease):
            return wire.UnitInstruction(unit_id=running.unit_id, verdict=wire.UnitVerdict.LEASE_LOST)
        unit.progress.append(running.progress.model_dump())
        upload = None
        chunk = running.log_chunk
        if chunk is not None:
            path = f"/logs/{unit.unit_id}/{unit.attempt}/{chunk.seq:06d}.txt"
            unit.uploads[path] = chunk.sha256
            headers = {"Content-Type": "text/plain", "Content-Length": str(chunk.size_bytes)}
            upload = wire.Upload(url=self.url + path, headers=headers)
        return wire.UnitInstruction(unit_id=unit.unit_id, verdict=unit.verdict, log_upload=upload)

    def _outputs(self, unit: FakeUnit, request: dict[str, Any]) -> Answer:
        asked = wire.OutputsRequest.model_validate(request)
        if not holds(unit, asked.lease):
            return refusal(409, NodeErrorCode.LEASE_LOST)
        uploads = {}
        for file in asked.files:
            path = f"/uploads/{unit.unit_id}/{unit.attempt}/{file.name}"
            unit.uploads[path] = file.sha256
            uploads[file.name] = wire.Upload(
                url=self._fresh(self.url + path),
                headers={"Content-Type": "application/octet-stream", "Content-Length": str(file.size_bytes)},
            )
        return Answer.of(wire.OutputsResponse(uploads=uploads))

    def _complete(self, unit: FakeUnit, request: dict[str, Any]) -> Answer:
        report = wire.CompleteRequest.model_validate(request)
        if unit.status == "completed" and unit.lease_token == report.lease.lease_token:
            return Answer.of(wire.ReportResponse(unit_id=unit.unit_id, status="completed", accepted=False))
        if not holds(unit, report.lease):
            return refusal(409, NodeErrorCode.LEASE_LOST)
        for file in report.outputs:
            content = self.blobs.get(f"/uploads/{unit.unit_id}/{unit.attempt}/{file.name}", b"")
            if hashlib.sha256(content).hexdigest() != file.sha256:
                return refusal(409, NodeErrorCode.OUTPUT_MISSING)
        unit.status, unit.completed = "completed", request
        return Answer.of(wire.ReportResponse(unit_id=unit.unit_id, status="completed"))

    def _fail(self, unit: FakeUnit, request: dict[str, Any]) -> Answer:
        report = wire.FailRequest.model_validate(request)
        if not holds(unit, report.lease):
            return refusal(409, NodeErrorCode.LEASE_LOST)
        unit.failures.append(request)
        unit.status = "queued" if report.code.value == "NODE_DRAINED" else "failed"
        return Answer.of(wire.ReportResponse(unit_id=unit.unit_id, status=unit.status))

    def _object(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        path, _, made = path.partition("?made=")
        if made and self.url_uses is not None and self._store_calls - int(made) > self.url_uses:
            return Answer(status=403)
        if method == "PUT":
            granted = {path: sha256 for unit in self.units.values() for path, sha256 in unit.uploads.items()}
            if hashlib.sha256(body).hexdigest() != granted.get(path):
                return Answer(status=403)
            self.blobs[path] = body
            return Answer()
        content = self.blobs.get(path)
        if content is None:
            return Answer(status=404)
        asked = headers.get("range", "")
        if asked.startswith("bytes="):
            return Answer(status=206, body=content[int(asked[6:].rstrip("-")) :], media_type="application/octet-stream")
        return Answer(body=content, media_type="application/octet-stream")


def unit_id(index: int) -> str:
    return f"{JOB_ID}.{index:05d}"


def holds(unit: FakeUnit, lease: wire.Lease) -> bool:
    return unit.status == "running" and (unit.attempt, unit.lease_token) == (lease.attempt, lease.lease_token)


def step_of(method: str, path: str) -> str:
    if path.startswith(("/blobs/", "/uploads/", "/logs/")):
        return method.lower()
    return path.rpartition("/")[2] if path.startswith("/api/") else "receive"
