"""Who calls from outside: customers, and home machines with an agent. Both send a request again when nobody answered it."""

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from gpupool import bootstrap
from gpupool.accounts.model import Scope
from gpupool.nodes.model import Tier
from gpupool.objects.store import to_base64
from gpupool.wire.failures import FailureCode
from gpupool.wire.joining import Doorbell
from gpupool.wire.vocabulary import UnitRole
from tests.cloud.cloud import Cloud
from tests.support.events import Answer, load_event
from tests.support.nodes import some_capabilities
from tests.support.packages import a_package

CUSTOMER_PREFIX = "/api/v1/customer"
NODE_PREFIX = "/api/v1/node"
PASSWORD = "correct horse battery"
SINGLE_UNIT = (
    '[strategy]\nkind = "dag"\n[[units]]\nname = "u0"\nentry = "train.py"\nkind = "cpu"\nrequired_vram_mb = 0\nneeds = []\n'
)
MODEL = b"a model"
_TRIES = 8
_IDS = re.compile(r"/(?:[0-9a-f]{8}-[0-9a-f-]{27}(?:\.\d{5})?|(?:msg|key|key_|wh)_?[0-9a-f]{8,})")
_LEAVES_A_MODEL = (UnitRole.TRAIN, UnitRole.PACKAGE, UnitRole.SELECT)
Json = Any


class NoAnswer(Exception):
    """Nobody answered, however often it was asked."""


def ask(cloud: Cloud, room: str, event: dict[str, Any]) -> Answer | None:
    """One request through API Gateway; None when its function ended before it answered."""
    http = event["requestContext"]["http"]
    trigger = f"{http['method']} {_IDS.sub('/*', http['path'])}"
    result = cloud.functions.invoke(room, event, trigger=trigger)
    if result.failed:
        return None
    raw = result.value
    text = raw.get("body") or ""
    body = json.loads(text) if text.startswith(("{", "[")) else base64.b64decode(text) if raw["isBase64Encoded"] else text
    return Answer(raw["statusCode"], raw.get("headers", {}), body, tuple(raw.get("cookies", ())))


def insist(cloud: Cloud, room: str, event: dict[str, Any]) -> Answer:
    """Sends a request again, a second later, while nobody answers it or the answer says to come again."""
    for _ in range(_TRIES):
        answer = ask(cloud, room, event)
        if answer is not None and answer.status < 500 and answer.status != 429:
            return answer
        cloud.pass_time(1)
    raise NoAnswer(event["rawPath"])


def request(case: str, method: str, path: str, body: Json, headers: dict[str, str]) -> dict[str, Any]:
    """An event of API Gateway, made of a recorded one."""
    event = load_event(case)
    path, _, query = path.partition("?")
    event["rawPath"] = event["requestContext"]["http"]["path"] = path
    event["rawQueryString"] = query
    event["requestContext"]["http"]["method"] = method
    kept = {
        name: value for name, value in event["headers"].items() if name not in ("x-api-key", "authorization", "idempotency-key")
    }
    event["headers"] = kept | {"content-type": "application/json"} | headers
    event.pop("cookies", None)
    event.pop("body", None)
    if body is not None:
        event["body"] = json.dumps(body)
    return event


def put(cloud: Cloud, upload: Json, body: bytes) -> None:
    """What a presigned PUT leaves behind. moto keeps a checksum only when its algorithm is named as well."""
    bucket, _, key = unquote(urlsplit(upload["url"]).path).removeprefix("/").partition("/")
    checksum = {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": to_base64(hashlib.sha256(body).hexdigest())}
    kind = upload["headers"].get("Content-Type", "application/octet-stream")
    cloud.deployment.s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType=kind, **checksum)


class Customer:
    """A customer with credits and an API key of every scope."""

    def __init__(self, cloud: Cloud, *, credits: int = 1_000, email: str = "ada@example.org") -> None:
        self.cloud = cloud
        accounts = bootstrap.build_accounts(cloud.ports)
        customer = accounts.create_customer(email=email, password=PASSWORD, name="Ada")
        self.id = customer.id
        self.email = email
        self.key = accounts.create_key(customer.id, name="k", scopes=frozenset(Scope), expires_at=None).plaintext
        self._requests = 0
        if credits:
            bootstrap.build_credits(cloud.ports).grant(customer.id, amount=credits, note="")

    def send(self, method: str, path: str, body: Json = None, *, token: str | None = None, once: bool = True) -> Answer:
        """A request, again with the same idempotency key until it is answered. ``token`` signs in instead of the key."""
        headers = {"authorization": f"Bearer {token}"} if token else {"x-api-key": self.key}
        if method == "POST" and once:
            self._requests += 1
            headers["idempotency-key"] = f"{self.email.partition('@')[0]}-request-{self._requests:04d}"
        event = request("customer_api.post", method, CUSTOMER_PREFIX + path, body, headers)
        return insist(self.cloud, "customer_api", event)

    def expect(self, status: int, method: str, path: str, body: Json = None, **options: Any) -> Json:
        answer = self.send(method, path, body, **options)
        assert answer.status == status, f"{method} {path}: {answer.status} {answer.body}"
        return answer.body

    def upload(self, resource: str, body: bytes) -> str:
        """Declares, sends and finalizes; the id."""
        declared = {"name": "digits", "size_bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        made = self.expect(201, "POST", f"/{resource}", declared)
        put(self.cloud, made["upload"], body)
        self.expect(200, "POST", f"/{resource}/{made['id']}/finalize")
        return str(made["id"])

    def inputs(self, manifest: str = SINGLE_UNIT) -> dict[str, str]:
        """A dataset and a package with that manifest."""
        package = a_package(("train.py", b"print(1)\n"), ("gpu-agent.toml", manifest.encode()))
        return {
            "dataset_id": self.upload("datasets", b"rows"),
            "training_package_id": self.upload("training-packages", package),
        }

    def submit(self, inputs: dict[str, str], **changes: Json) -> str:
        """The id of a new job."""
        asked = {"name": "tiny", "required_vram_mb": 0, "required_disk_mb": 100, "max_runtime_seconds": 600}
        return str(self.expect(201, "POST", "/training-jobs", asked | inputs | changes)["id"])

    def cancel(self, job_id: str) -> Answer:
        return self.send("POST", f"/training-jobs/{job_id}/cancel")

    def job(self, job_id: str) -> Json:
        return self.expect(200, "GET", f"/training-jobs/{job_id}")


@dataclass(frozen=True)
class Heard:
    """A bell that a machine has received."""

    bell: Doorbell
    doorway: dict[str, str]


@dataclass(eq=False)
class Machine:
    """A paired machine. It does what a test says, as its agent would."""

    cloud: Cloud
    tier: Tier = Tier.COMMUNITY
    vram_mb: int = 0
    node_id: str = ""
    queue_urls: list[str] = field(default_factory=list)
    # By lease token: the way that the bell of a claim came.
    doorways: dict[str, Json] = field(default_factory=dict)
    _key: str = ""

    def __post_init__(self) -> None:
        code = bootstrap.build_pairing(self.cloud.ports).create_code(self.tier)
        capabilities = some_capabilities(vram_mb=self.vram_mb).model_dump(mode="json")
        paired = self.send("/pair", {"code": code, "name": "a machine", "capabilities": capabilities})
        if paired.status == 400:
            # The code is used up and its answer was lost: its owner asks for another one.
            self.__post_init__()
            return
        assert paired.status == 201, paired.body
        self.node_id, self._key = paired.body["node_id"], paired.body["device_key"]
        granted = self.send("/credentials", {"capabilities": capabilities})
        assert granted.status == 200, granted.body
        self.queue_urls = [queue["url"] for queue in granted.body["queues"]]

    def send(self, path: str, body: Json) -> Answer:
        headers = {"x-gpupool-protocol": "1"} | ({"authorization": f"Bearer {self._key}"} if self._key else {})
        return insist(self.cloud, "node_api", request("node_api.claim", "POST", NODE_PREFIX + path, body, headers))

    def receive(self) -> Heard | None:
        """One message from its queues."""
        for url in self.queue_urls:
            for message in self.cloud.deployment.sqs.receive_message(QueueUrl=url).get("Messages", []):
                doorway = {"queue_url": url, "receipt_handle": message["ReceiptHandle"]}
                return Heard(Doorbell.model_validate_json(message["Body"]), doorway)
        return None

    def claim(self, heard: Heard) -> Json | None:
        """The grant, None when the claim was refused."""
        return self.claimed(heard, {"doorway": heard.doorway})

    def claimed(self, heard: Heard, request: Json) -> Json | None:
        answer = self.send(f"/units/{heard.bell.unit_id}/claim", request)
        if answer.status != 200:
            return None
        self.doorways[answer.body["lease_token"]] = heard.doorway
        return answer.body

    def proof(self, grant: Json) -> Json:
        """What every beat and report says: its lease, and how it was claimed."""
        return {"lease": lease_of(grant), "doorway": self.doorways.get(grant["lease_token"])}

    def take(self) -> Json | None:
        """A unit that rings for it; None when nothing does or somebody else has it."""
        heard = self.receive()
        return self.claim(heard) if heard is not None else None

    def heartbeat(self, *grants: Json, **said: Json) -> Json:
        """The verdicts by unit."""
        running = [{"unit_id": each["unit_id"], **self.proof(each), **said} for each in grants]
        answer = self.send("/heartbeat", {"units": running})
        return {each["unit_id"]: each["verdict"] for each in answer.body["units"]}

    def complete(self, grant: Json, *, runtime_seconds: float = 1) -> Answer:
        """Uploads what its role leaves, and reports."""
        files = self.upload(grant) if grant["role"] in _LEAVES_A_MODEL else []
        if files is None:
            return Answer(409, {}, {"error": {"code": "LEASE_LOST"}})
        report = {**self.proof(grant), "outputs": files, "runtime_seconds": runtime_seconds, "metrics": {"loss": 0.5}}
        return self.send(f"/units/{grant['unit_id']}/complete", report)

    def upload(self, grant: Json) -> list[Json] | None:
        """The model as a report declares it; None when the unit is not its any more."""
        file = {"name": "model.tar.gz", "kind": "model", "size_bytes": len(MODEL), "sha256": hashlib.sha256(MODEL).hexdigest()}
        asked = self.send(f"/units/{grant['unit_id']}/outputs", {"lease": lease_of(grant), "files": [file]})
        if asked.status != 200:
            return None
        put(self.cloud, asked.body["uploads"][file["name"]], MODEL)
        return [file]

    def fail(self, grant: Json, code: FailureCode = FailureCode.SCRIPT_FAILED) -> Answer:
        report = {**self.proof(grant), "code": str(code), "message": "It broke."}
        return self.send(f"/units/{grant['unit_id']}/fail", report)

    def work_off(self) -> int:
        """Completes everything that rings now, and what comes of it; how many units that were."""
        done = 0
        self.cloud.settle()
        while (heard := self.receive()) is not None:
            grant = self.claim(heard)
            if grant is not None:
                done += self.complete(grant).status == 200
            self.cloud.settle()
        return done


def lease_of(grant: Json) -> Json:
    return {"attempt": grant["attempt"], "lease_token": grant["lease_token"]}
