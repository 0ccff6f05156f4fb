"""The node door over the in-memory platform: who gets in, and what each call answers."""

import hashlib
from typing import Any

import httpx
import pytest

from functions.node_api.app import create_app
from gpupool.bootstrap import build_node_core
from gpupool.clock import FixedClock
from gpupool.nodes.model import Tier
from gpupool.objects.model import SignedPut
from gpupool.twins import MemoryPorts
from gpupool.units.model import Pool, UnitStatus
from gpupool.wire import PROTOCOL_HEADER
from gpupool.wire.joining import Doorbell
from tests.support.asgi import AsgiClient
from tests.support.nodes import some_capabilities
from tests.support.work import CUSTOMER_ID, JOB_ID, a_job, a_unit

BODY = b"the model"
FILE = {"name": "model.tar.gz", "kind": "model", "size_bytes": len(BODY), "sha256": hashlib.sha256(BODY).hexdigest()}


class Door:
    """The door, the platform behind it, and one queued unit whose bell has rung."""

    def __init__(self, *, needs: int = 0) -> None:
        self.clock = FixedClock()
        self.ports = MemoryPorts(clock=self.clock)
        self.core = build_node_core(self.ports)
        self.client = AsgiClient(create_app(lambda: self.core))
        self.unit = a_unit(needs, needs=tuple(range(needs)))
        self.ports.units.add_all(tuple(a_unit(index, status=UnitStatus.COMPLETED) for index in range(needs)))
        self.ports.jobs.write(a_job())
        self.ports.units.add_all((self.unit,))
        self.url = self.ports.queue_urls.by_name["public-cpu"]
        self.ring()

    def ring(self) -> None:
        self.ports.queue.ring(self.url, Doorbell(job_id=JOB_ID, unit_id=self.unit.id, attempt=0), group=CUSTOMER_ID)

    def pair(self, tier: Tier = Tier.COMMUNITY, **capabilities: Any) -> "Machine":
        body = {
            "code": self.core.pairing.create_code(tier),
            "name": "Ada's tower",
            "capabilities": some_capabilities(**capabilities).model_dump(mode="json"),
        }
        answer = self.client.post("/api/v1/node/pair", json=body)
        assert answer.status_code == 201, answer.text
        return Machine(self, answer.json())

    def doorway(self) -> dict[str, str]:
        received = self.ports.queue.receive(self.url)
        assert received is not None, "nothing rings"
        return received.doorway.model_dump()

    def status(self) -> UnitStatus:
        unit = self.ports.units.get(self.unit.id)
        assert unit is not None
        return unit.status


class Machine:
    """A paired machine that calls the door."""

    def __init__(self, door: Door, paired: dict[str, str]) -> None:
        self.door = door
        self.node_id = paired["node_id"]
        self.doorways: dict[str, dict[str, str]] = {}
        self.headers = {"Authorization": f"Bearer {paired['device_key']}", PROTOCOL_HEADER: "1"}

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return self.door.client.post(f"/api/v1/node{path}", json=body, headers=self.headers)

    def unit(self, what: str, body: dict[str, Any]) -> httpx.Response:
        return self.post(f"/units/{self.door.unit.id}/{what}", body)

    def grant(self, **more: Any) -> dict[str, Any]:
        doorway = self.door.doorway()
        answer = self.unit("claim", {"doorway": doorway, **more})
        assert answer.status_code == 200, answer.text
        grant: dict[str, Any] = answer.json()
        self.doorways[grant["lease_token"]] = doorway
        return grant

    def claim(self) -> dict[str, Any]:
        """The lease of a claim that succeeds."""
        return lease_in(self.grant())

    def upload(self, lease: dict[str, Any]) -> None:
        answer = self.unit("outputs", {"lease": lease, "files": [FILE]})
        assert answer.status_code == 200, answer.text
        signed = answer.json()["uploads"]["model.tar.gz"]
        assert self.door.ports.objects.upload(SignedPut(signed["url"], signed["headers"]), BODY)

    def complete(self, lease: dict[str, Any]) -> httpx.Response:
        doorway = self.doorways.get(lease["lease_token"])
        return self.unit("complete", {"lease": lease, "doorway": doorway, "outputs": [FILE], "runtime_seconds": 5})


def lease_in(grant: dict[str, Any]) -> dict[str, Any]:
    return {"attempt": grant["attempt"], "lease_token": grant["lease_token"]}


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_machine_pairs_claims_uploads_and_completes() -> None:
    door = Door()
    machine = door.pair()

    lease = machine.claim()
    machine.upload(lease)
    answer = machine.complete(lease)

    assert answer.json() == {"unit_id": door.unit.id, "status": "completed", "accepted": True}
    assert door.status() is UnitStatus.COMPLETED
    assert door.ports.queue.waiting(door.url) == 0
    assert machine.complete(lease).json()["accepted"] is False


def test_credentials_name_only_what_the_tier_and_the_machine_may_serve() -> None:
    machine = Door().pair(Tier.COMMUNITY)

    answer = machine.post("/credentials", {"capabilities": some_capabilities(vram_mb=8_500).model_dump(mode="json")})

    assert [queue["url"] for queue in answer.json()["queues"]] == ["memory://public-gpu-8g", "memory://public-cpu"]
    assert answer.headers["cache-control"] == "no-store"


def test_a_code_pairs_one_machine() -> None:
    door = Door()
    body = {
        "code": door.core.pairing.create_code(Tier.COMMUNITY),
        "name": "n",
        "capabilities": {"cpu_count": 1, "memory_mb": 1},
    }
    body["capabilities"] |= {"disk_free_mb": 1}  # type: ignore[operator]

    assert door.client.post("/api/v1/node/pair", json=body).status_code == 201
    assert refusal(door.client.post("/api/v1/node/pair", json=body)) == (400, "PAIRING_CODE_INVALID")


@pytest.mark.parametrize("path", ["/credentials", "/heartbeat", *(f"/units/{a_unit().id}/{what}" for what in
                                  ("claim", "decline", "inputs", "outputs", "complete", "fail"))])  # fmt: skip
def test_every_call_but_pairing_needs_the_device_key(path: str) -> None:
    door = Door()

    answer = door.client.post(f"/api/v1/node{path}", json={})

    assert refusal(answer) == (401, "NODE_AUTH_REQUIRED")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_revoked_machine_is_shut_out_and_its_unit_moves_on() -> None:
    door = Door()
    machine = door.pair()
    lease = machine.claim()
    door.core.nodes.revoke(machine.node_id)

    assert refusal(machine.complete(lease)) == (403, "NODE_REVOKED")
    assert refusal(machine.post("/heartbeat", {"units": []})) == (403, "NODE_REVOKED")

    door.clock.advance(62)
    assert door.pair().claim()["attempt"] == 2


@pytest.mark.parametrize("spoken", ["2", "0", "one", ""])
def test_another_protocol_is_refused_before_anything_else(spoken: str) -> None:
    answer = Door().client.post("/api/v1/node/heartbeat", json={"units": []}, headers={PROTOCOL_HEADER: spoken})

    assert refusal(answer) == (400, "PROTOCOL_UNSUPPORTED")


def test_an_agent_that_names_no_protocol_speaks_the_first() -> None:
    machine = Door().pair()
    del machine.headers[PROTOCOL_HEADER]

    assert machine.post("/heartbeat", {"units": []}).status_code == 200


def test_a_unit_in_work_is_refused_to_others() -> None:
    door = Door()
    door.ring()
    door.pair().claim()

    assert refusal(door.pair().unit("claim", {"doorway": door.doorway()})) == (409, "UNIT_LEASED")


def test_a_lease_serves_only_the_machine_that_holds_it() -> None:
    door = Door()
    holder, thief = door.pair(), door.pair()
    lease = holder.claim()
    holder.upload(lease)

    assert refusal(thief.complete(lease)) == (409, "LEASE_LOST")
    assert refusal(thief.unit("outputs", {"lease": lease, "files": [FILE]})) == (409, "LEASE_LOST")
    assert refusal(thief.unit("inputs", {"lease": lease})) == (409, "LEASE_LOST")
    assert refusal(thief.unit("fail", {"lease": lease, "code": "SCRIPT_FAILED", "message": "no"})) == (409, "LEASE_LOST")
    beat = thief.post("/heartbeat", {"units": [{"unit_id": door.unit.id, "lease": lease}]})
    assert beat.json()["units"][0]["verdict"] == "lease_lost"

    assert door.status() is UnitStatus.RUNNING
    assert holder.complete(lease).status_code == 200


def test_a_heartbeat_keeps_the_lease_and_notes_the_machine() -> None:
    door = Door()
    machine = door.pair()
    lease = machine.claim()
    door.clock.advance(50)

    beat = {"unit_id": door.unit.id, "lease": lease, "doorway": machine.doorways[lease["lease_token"]]}
    body = {"units": [{**beat, "progress": {"fraction": 0.5}}], "draining": True}
    answer = machine.post("/heartbeat", body).json()

    assert answer["units"][0]["verdict"] == "continue"
    assert answer["heartbeat_seconds"] == 15
    door.clock.advance(50)
    assert door.ports.queue.receive(door.url) is None
    node = door.ports.nodes.get(machine.node_id)
    assert node is not None
    assert node.draining


def test_the_holder_gets_fresh_links_to_its_inputs() -> None:
    door = Door()
    machine = door.pair()

    answer = machine.unit("inputs", {"lease": machine.claim()})

    assert answer.status_code == 200
    assert answer.json()["dataset"]["name"] == "dataset.zip"
    assert answer.json()["package"]["sha256"] == "a" * 64
    assert answer.json()["needs"] == []


def test_needs_beyond_the_first_page_are_asked_for() -> None:
    machine = Door(needs=60).pair()

    grant = machine.grant(pages=True)
    rest = machine.unit("inputs", {"lease": lease_in(grant), "cursor": grant["more_needs"]}).json()
    named = machine.unit("inputs", {"lease": lease_in(grant), "only": [a_unit(3).id]}).json()
    again = machine.unit("inputs", {"lease": lease_in(grant)}).json()

    names = [need["unit_name"] for need in grant["needs"] + rest["needs"]]
    assert names == [f"train_{index:03d}" for index in range(60)]
    assert (len(grant["needs"]), rest["more_needs"]) == (50, None)
    assert [need["unit_id"] for need in named["needs"]] == [a_unit(3).id]
    assert (again["needs"], again["more_needs"]) == (grant["needs"], grant["more_needs"])


def test_an_agent_that_knows_no_pages_gets_no_unit_with_more_than_one() -> None:
    door = Door(needs=51)

    assert refusal(door.pair().unit("claim", {"doorway": door.doorway()})) == (409, "UNIT_NOT_SUITABLE")

    door.clock.advance(5)
    assert door.pair().grant(pages=True)["attempt"] == 1


def test_an_agent_that_knows_no_pages_gets_everything_that_fits_one() -> None:
    grant = Door(needs=50).pair().grant()

    assert (len(grant["needs"]), grant["more_needs"]) == (50, None)


@pytest.mark.parametrize("wish", [{"cursor": "-1"}, {"cursor": "x"}, {"only": ["../x"]}, {"only": [a_unit().id] * 51}])
def test_a_wish_for_inputs_that_no_agent_has(wish: dict[str, Any]) -> None:
    machine = Door().pair()

    assert refusal(machine.unit("inputs", {"lease": machine.claim(), **wish})) == (400, "VALIDATION_FAILED")


@pytest.mark.parametrize("code", ["PLANNING_FAILED", "DISPATCH_FAILED", "LEASE_EXPIRED", "NO_SUCH_CODE"])
def test_a_cause_that_is_not_a_nodes_to_say_is_a_wrong_message(code: str) -> None:
    door = Door()
    machine = door.pair()

    answer = machine.unit("fail", {"lease": machine.claim(), "code": code, "message": "no"})

    assert refusal(answer) == (400, "VALIDATION_FAILED")
    assert [found["field"] for found in answer.json()["error"]["details"]["fields"]] == ["/code"]
    assert door.status() is UnitStatus.RUNNING


def test_a_failed_attempt_is_offered_again() -> None:
    door = Door()
    machine = door.pair()

    body = {"lease": machine.claim(), "code": "INPUT_CORRUPT", "message": "The download was broken."}
    answer = machine.unit("fail", body)

    assert answer.json()["status"] == "queued"


def test_a_declined_bell_rings_for_others_at_once() -> None:
    door = Door()

    answer = door.pair().unit("decline", {"doorway": door.doorway()})

    assert (answer.status_code, answer.content) == (204, b"")
    assert door.ports.queue.receive(door.url) is not None


@pytest.mark.parametrize("what", ["claim", "decline"])
@pytest.mark.parametrize("url", ["https://evil.example/queue", "memory://controlled-cpu", "memory://public-gpu-8g"])
def test_a_doorway_that_the_machine_may_not_serve_is_refused(what: str, url: str) -> None:
    door = Door()
    machine = door.pair(Tier.COMMUNITY)

    answer = machine.unit(what, {"doorway": {"queue_url": url, "receipt_handle": "receipt"}})

    assert refusal(answer) == (400, "VALIDATION_FAILED")
    assert answer.json()["error"]["details"]["field"] == "/doorway/queue_url"
    assert door.status() is UnitStatus.QUEUED


def test_a_machine_without_a_sandbox_gets_nobodys_unit() -> None:
    door = Door()
    machine = door.pair(Tier.CONTROLLED, sandbox="none")

    assert refusal(machine.unit("claim", {"doorway": door.doorway()})) == (400, "VALIDATION_FAILED")
    assert door.status() is UnitStatus.QUEUED


def test_an_upload_that_never_arrived_is_named() -> None:
    machine = Door().pair()

    assert refusal(machine.complete(machine.claim())) == (409, "OUTPUT_MISSING")


def test_a_malformed_message_names_its_fields() -> None:
    machine = Door().pair()

    answer = machine.unit("complete", {"lease": {"attempt": 0, "lease_token": "t"}, "outputs": []})

    assert refusal(answer) == (400, "VALIDATION_FAILED")
    fields = [found["field"] for found in answer.json()["error"]["details"]["fields"]]
    assert fields == ["/lease/attempt", "/runtime_seconds"]


@pytest.mark.parametrize(("method", "path"), [("GET", "/heartbeat"), ("POST", "/nowhere"), ("POST", "/units/../claim"),
                                              ("POST", "/units/not-a-unit/claim"), ("POST", "/heartbeat/")])  # fmt: skip
def test_a_call_that_is_not_in_the_wire_is_a_wrong_message(method: str, path: str) -> None:
    machine = Door().pair()

    answer = machine.door.client.request(method, f"/api/v1/node{path}", json={"doorway": {}}, headers=machine.headers)

    assert answer.json()["error"]["code"] == "VALIDATION_FAILED"


def test_unknown_fields_of_a_newer_agent_are_ignored() -> None:
    assert Door().pair().post("/heartbeat", {"units": [], "mood": "good"}).status_code == 200


def test_the_pool_of_a_unit_is_not_the_claimants_to_choose() -> None:
    door = Door()
    secret = a_unit(1, pool=Pool.CONTROLLED)
    door.ports.units.add_all((secret,))
    machine = door.pair(Tier.COMMUNITY)

    answer = machine.post(f"/units/{secret.id}/claim", {"doorway": door.doorway()})

    assert answer.status_code == 409
    kept = door.ports.units.get(secret.id)
    assert kept is not None
    assert kept.status is UnitStatus.QUEUED
