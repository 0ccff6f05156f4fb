"""Webhooks through the customer door."""

import pytest

from gpupool import bootstrap
from gpupool.accounts.model import Scope
from gpupool.webhooks.sender import Outcome
from tests.support.customer_door import Door, Visitor

SEED = {
    "url": "https://your-receiver.example.com/gpu-agent",
    "events": ["job.completed", "job.failed", "artifact.ready"],
    "description": "postman-test",
}


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def ada(door: Door) -> Visitor:
    return door.customer(scopes=(Scope.WEBHOOK_WRITE,))


def deliver(door: Door) -> None:
    deliverer = bootstrap.build_deliverer(door.ports)
    while (ref := door.ports.webhook_queue.take()) is not None:
        deliverer.deliver(ref)


def test_the_secret_is_shown_when_it_is_made_and_never_again(ada: Visitor) -> None:
    made = ada.post("/webhooks", SEED).json()
    path = f"/webhooks/{made['id']}"
    rotated = ada.post(f"{path}/rotate-secret").json()

    assert made["secret"].startswith("whsec_")
    assert rotated["secret"] != made["secret"]
    assert rotated["previous_secret_expires_at"] == "2026-01-02T00:00:00.000Z"
    assert "secret" not in ada.get(path).json()
    assert "whsec_" not in ada.get("/webhooks").text + ada.get(path).text


def test_a_repeat_with_the_same_key_creates_rotates_and_tests_once(ada: Visitor) -> None:
    key = {"idempotency-key": "a-key-of-mine"}
    first, again = (ada.post("/webhooks", SEED, headers=key) for _ in range(2))
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert len(ada.get("/webhooks").json()["data"]) == 1
    path = f"/webhooks/{first.json()['id']}/rotate-secret"
    assert ada.post(path, headers=key).json()["secret"] == ada.post(path, headers=key).json()["secret"]
    path = f"/webhooks/{first.json()['id']}/test"
    tested, again = (ada.post(path, headers=key) for _ in range(2))
    assert tested.json() == again.json()
    assert ("idempotent-replayed" in tested.headers, again.headers["idempotent-replayed"]) == (False, "true")
    conflict = ada.post("/webhooks", SEED | {"description": "other"}, headers=key)
    assert (conflict.status_code, conflict.json()["error"]["code"]) == (409, "IDEMPOTENCY_CONFLICT")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"url": "http://example.com/"}, "/url"),
        ({"url": "https://169.254.169.254/latest"}, "/url"),
        ({"events": []}, "/events"),
        ({"events": ["job.exploded"]}, "/events/0"),
        ({"events": ["unit.queued"]}, "/events/0"),
        ({"extra": 1}, "/extra"),
        ({"description": "x" * 501}, "/description"),
    ],
)
def test_a_wrong_wish_is_refused_by_its_field(ada: Visitor, changes: dict[str, object], field: str) -> None:
    answer = ada.post("/webhooks", SEED | changes)
    assert (answer.status_code, answer.json()["error"]["details"]["field"]) == (400, field)
    code = "WEBHOOK_INVALID_URL" if field == "/url" else "VALIDATION_FAILED"
    assert answer.json()["error"]["code"] == code


def test_a_test_is_accepted_and_the_log_tells_what_came_of_it(door: Door, ada: Visitor) -> None:
    path = f"/webhooks/{ada.post('/webhooks', SEED).json()['id']}"
    accepted = ada.post(f"{path}/test")
    door.ports.sender.answer = lambda _sent: Outcome(7, status_code=500)
    deliver(door)

    (logged,) = ada.get(f"{path}/deliveries").json()["data"]
    assert (accepted.status_code, accepted.json()["delivery_id"]) == (202, logged["id"])
    assert (logged["event_type"], logged["status"], logged["sequence"]) == ("webhook.test", "pending", 1)
    assert [(each["status_code"], each["duration_ms"]) for each in logged["attempts"]] == [(500, 7)]
    whole = ada.get(f"{path}/deliveries/{logged['id']}").json()
    assert '"type":"webhook.test"' in whole["body"]
    pending = ada.post(f"{path}/deliveries/{logged['id']}/replay")
    assert (pending.status_code, pending.json()["error"]["code"]) == (409, "DELIVERY_PENDING")


def test_a_delivery_that_failed_for_good_says_so_and_is_replayed(door: Door, ada: Visitor) -> None:
    path = f"/webhooks/{ada.post('/webhooks', SEED).json()['id']}"
    delivery_id = ada.post(f"{path}/test").json()["delivery_id"]
    door.ports.sender.answer = lambda _sent: Outcome(7, status_code=410)
    deliver(door)

    logged = ada.get(f"{path}/deliveries/{delivery_id}").json()
    assert (logged["status"], logged["error"]["code"]) == ("failed", "WEBHOOK_DELIVERY_FAILED")
    assert ada.get(path).json()["status"] == "disabled"
    for what in ("test", f"deliveries/{delivery_id}/replay"):
        refused = ada.post(f"{path}/{what}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "WEBHOOK_DISABLED")

    assert ada.send("PATCH", path, json={"enabled": True}).json()["status"] == "enabled"
    door.ports.sender.answer = lambda _sent: Outcome(7, status_code=200)
    assert ada.post(f"{path}/deliveries/{delivery_id}/replay").status_code == 202
    deliver(door)
    assert ada.get(f"{path}/deliveries/{delivery_id}").json()["status"] == "delivered"


def test_what_is_not_named_in_a_change_stays(ada: Visitor) -> None:
    made = ada.post("/webhooks", SEED).json()
    path = f"/webhooks/{made['id']}"
    changed = ada.send("PATCH", path, json={"events": ["credits.low", "credits.low"]}).json()
    assert (changed["url"], changed["events"], changed["description"]) == (SEED["url"], ["credits.low"], "postman-test")
    assert ada.send("PATCH", path, json={"enabled": False}).json()["disabled_reason"] == "You disabled it."
    assert ada.send("PATCH", path, json={}).status_code == 400
    assert ada.delete(path).status_code == 204
    assert ada.get(path).json()["error"]["code"] == "WEBHOOK_NOT_FOUND"


def test_another_customers_webhook_does_not_exist(door: Door, ada: Visitor) -> None:
    made = ada.post("/webhooks", SEED).json()
    delivery_id = ada.post(f"/webhooks/{made['id']}/test").json()["delivery_id"]
    bob = door.customer("bob@example.com", scopes=(Scope.WEBHOOK_WRITE,))
    own = bob.post("/webhooks", SEED).json()
    for method, path in (
        ("GET", f"/webhooks/{made['id']}"),
        ("PATCH", f"/webhooks/{made['id']}"),
        ("DELETE", f"/webhooks/{made['id']}"),
        ("POST", f"/webhooks/{made['id']}/test"),
        ("POST", f"/webhooks/{made['id']}/rotate-secret"),
        ("GET", f"/webhooks/{made['id']}/deliveries"),
        ("GET", f"/webhooks/{made['id']}/deliveries/{delivery_id}"),
        ("POST", f"/webhooks/{made['id']}/deliveries/{delivery_id}/replay"),
        ("GET", f"/webhooks/{own['id']}/deliveries/{delivery_id}"),
    ):
        answer = bob.send(method, path, **({"json": {"enabled": False}} if method == "PATCH" else {}))
        assert answer.status_code == 404, (method, path)
    assert ada.get(f"/webhooks/{made['id']}").json()["status"] == "enabled"


def test_twenty_are_enough(ada: Visitor) -> None:
    answers = [ada.post("/webhooks", SEED | {"url": f"https://r{number}.example/"}) for number in range(21)]
    assert [answer.status_code for answer in answers] == [201] * 20 + [409]
    assert answers[-1].json()["error"]["code"] == "WEBHOOK_LIMIT_REACHED"
