"""A home machine with an agent's pattern of calls, its own ones metered too: it polls, claims, fetches, uploads and reports."""

import hashlib
from typing import Any

from bench.cost.meter import Meter
from bench.cost.prices import Item, Usage
from gpupool.wire.vocabulary import UnitRole
from tests.cloud.cloud import Cloud
from tests.cloud.people import Heard, Machine, lease_of, put
from tests.support.nodes import some_capabilities

Json = Any
UNIT_SECONDS = 600
# What a unit of each role leaves, a log of its own included; a role that is not named leaves all three.
_MODEL, _METRICS, _LOG = ("model.tar.gz", "model"), ("metrics.jsonl", "metrics"), ("log.txt", "logs")
_LEAVES = {UnitRole.PREPARE: (_LOG,), UnitRole.EVALUATE: (_METRICS, _LOG)}
_BYTES = b"what the unit made"
# Package and dataset; a machine that worked on the job before has them in its cache.
_COMMON_INPUTS = 2
# A machine that has claimed a unit beats when a third of its lease is over.
_BEATS_PER_LEASE = 3
# A lane is a training and its evaluation.
_LANE = 2


class Agent(Machine):
    """One unit at a time. Whatever it asks of the store goes past the control plane, with presigned URLs."""

    def __init__(self, cloud: Cloud, meter: Meter) -> None:
        self._meter = meter
        self.capabilities = some_capabilities().model_dump(mode="json")
        super().__init__(cloud)

    def poll(self) -> Heard | None:
        """A long poll of one queue. One that hears nothing is an idle machine's and not charged here."""
        heard = self.receive()
        if heard is not None:
            self._charge("ReceiveMessage", Usage.of(Item.SQS_REQUEST))
        return heard

    def claim(self, heard: Heard) -> Json | None:
        """As an agent that reads the needs of a unit page by page."""
        return self.claimed(heard, {"doorway": heard.doorway, "pages": True})

    def work(self, grant: Json) -> None:
        """Fetches what the grant names, uploads what the role leaves and reports it."""
        fetched = _COMMON_INPUTS + sum(len(need["outputs"]) for need in self._needs(grant))
        self._charge("S3 GetObject", Usage.of(Item.S3_GET, fetched))
        files = self._send_files(grant)
        report = {
            **self.proof(grant),
            "outputs": files,
            "runtime_seconds": UNIT_SECONDS - 12.345,
            "metrics": {"loss": 0.123456789, "test_accuracy": 0.987654321},
            "peak_memory_mb": 1234,
        }
        answer = self.send(f"/units/{grant['unit_id']}/complete", report)
        if answer.status != 200:
            raise RuntimeError(f"report refused: {answer.body}")

    def beat(self, grant: Json | None = None, *, age: int = 0) -> int:
        """One heartbeat, of an idle machine without a unit; the seconds to the next. ``age``: seconds since the claim."""
        said = {"fraction": 0.123456, "stage": "running", "metrics": {"loss": 0.123456789, "test_accuracy": 0.987654321}}
        running = []
        if grant is not None:
            running = [{"unit_id": grant["unit_id"], "lease": lease_of(grant), "age_seconds": age, "progress": said}]
        body = {"units": running, "draining": False, "last_poll_ok_at": self.cloud.clock.now().isoformat()}
        answer = self.send("/heartbeat", body)
        if any(each["verdict"] != "continue" for each in answer.body["units"]):
            raise RuntimeError(f"heartbeat refused: {answer.body}")
        return int(answer.body["heartbeat_seconds"])

    def renew_keys(self) -> int:
        """Asks for keys; the seconds from a claim to the first heartbeat."""
        answer = self.send("/credentials", {"capabilities": self.capabilities})
        return int(answer.body["lease_seconds"]) // _BEATS_PER_LEASE

    def _needs(self, grant: Json) -> list[Json]:
        """The needs whose files it fetches: all of them, or of the lanes to select from a single one."""
        selects = UnitRole(grant["role"]) is UnitRole.SELECT
        listed, more = list(grant["needs"]), grant.get("more_needs")
        while more is not None:
            page = self._inputs(grant, cursor=more, outputs=not selects)
            listed, more = listed + page["needs"], page["more_needs"]
        if not selects or any(need["outputs"] for need in listed):
            return listed
        best: list[Json] = self._inputs(grant, only=[need["unit_id"] for need in listed[:_LANE]])["needs"]
        return best

    def _inputs(self, grant: Json, **asked: Json) -> Json:
        answer = self.send(f"/units/{grant['unit_id']}/inputs", {"lease": lease_of(grant)} | asked)
        if answer.status != 200:
            raise RuntimeError(f"inputs refused: {answer.body}")
        return answer.body

    def _send_files(self, grant: Json) -> list[Json]:
        """Small files share one request for their URLs."""
        digest = hashlib.sha256(_BYTES).hexdigest()
        leaves = _LEAVES.get(UnitRole(grant["role"]), (_MODEL, _METRICS, _LOG))
        files = [{"name": name, "kind": kind, "size_bytes": len(_BYTES), "sha256": digest} for name, kind in leaves]
        asked = self.send(f"/units/{grant['unit_id']}/outputs", {"lease": lease_of(grant), "files": files})
        for file in files:
            put(self.cloud, asked.body["uploads"][file["name"]], _BYTES)
        self._charge("S3 PutObject", Usage.of(Item.S3_PUT, len(files)))
        return files

    def _charge(self, what: str, usage: Usage) -> None:
        with self._meter.during("machine"):
            self._meter.charge(what, usage)
