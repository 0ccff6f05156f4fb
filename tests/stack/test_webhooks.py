"""Webhooks on the whole stack: a real job is told to a real receiver, signed, numbered, and again after a failure."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from tests.stack import packages
from tests.stack.customers import Customer, Json
from tests.stack.machines import Machines
from tests.stack.waiting import eventually

pytestmark = pytest.mark.stack

EVENTS = ["job.started", "job.completed", "unit.completed", "artifact.ready"]


class Receiver:
    """Keeps what arrives; answers with the next of ``answers``, else 204."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], str]] = []
        self.answers: list[int] = []

    def bodies(self, kind: str) -> list[Json]:
        found = [json.loads(body) for _, body in list(self.requests)]
        return [body for body in found if body["type"] == kind]


@pytest.fixture
def receiver() -> Iterator[tuple[Receiver, str]]:
    """A receiver on this machine and its URL; only the local stage delivers to such a one."""
    kept = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            kept.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(kept.answers.pop(0) if kept.answers else 204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield kept, f"http://127.0.0.1:{server.server_address[1]}/hook"
    finally:
        server.shutdown()
        server.server_close()


def created(customer: Customer, url: str, events: list[str]) -> Json:
    answer = customer.ask("POST", "/webhooks", body={"url": url, "events": events})
    assert answer.status == 201, answer
    made: Json = answer.body
    return made


def waited(condition: Callable[[], Any], what: str) -> Any:
    return eventually(condition, what=what)


def test_a_job_is_told_from_start_to_end(
    customer: Customer, machines: Machines, desk: Path, receiver: tuple[Receiver, str]
) -> None:
    kept, url = receiver
    made = created(customer, url, EVENTS)

    job = customer.ended(customer.train(packages.script(packages.TRAIN), desk))
    assert job["status"] == "completed"
    waited(lambda: kept.bodies("job.completed"), "the end of the job at the receiver")
    waited(lambda: len(kept.bodies("unit.completed")) == job["progress"]["units_completed"], "every unit at the receiver")

    secret = Webhook(made["secret"])
    for headers, body in kept.requests:
        secret.verify(body, headers)
    (end,) = kept.bodies("job.completed")
    assert (end["data"]["job_id"], end["data"]["credits_spent"]) == (job["id"], job["credits_spent"])
    listed = waited(lambda: _all_delivered(customer, made["id"]), "a log of what was delivered")
    assert [each["sequence"] for each in listed] == list(range(len(listed), 0, -1))
    assert {headers["webhook-id"] for headers, _ in kept.requests} == {each["id"] for each in listed}
    models = [each for body in kept.bodies("artifact.ready") for each in body["data"]["artifacts"] if each["kind"] == "model"]
    assert models


def _all_delivered(customer: Customer, webhook: str) -> list[Json] | None:
    found: list[Json] = customer.ask("GET", f"/webhooks/{webhook}/deliveries?limit=100").body["data"]
    return found if found and all(each["status"] == "delivered" for each in found) else None


def test_a_receiver_that_fails_is_asked_again_under_the_same_id(customer: Customer, receiver: tuple[Receiver, str]) -> None:
    kept, url = receiver
    made = created(customer, url, ["job.failed"])
    kept.answers = [500]

    accepted = customer.ask("POST", f"/webhooks/{made['id']}/test")
    assert accepted.status == 202
    path = f"/webhooks/{made['id']}/deliveries/{accepted.body['delivery_id']}"
    waited(lambda: customer.ask("GET", path).body["status"] == "delivered", "the second attempt")

    log = customer.ask("GET", path).body
    assert [attempt["status_code"] for attempt in log["attempts"]] == [500, 204]
    assert len({headers["webhook-id"] for headers, _ in kept.requests}) == 1
    assert kept.requests[0][1] == kept.requests[1][1] == log["body"]


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "https://10.0.0.1/", "http://example.com/", "https://[::1]/"])
def test_no_webhook_leads_inside(customer: Customer, url: str) -> None:
    answer = customer.ask("POST", "/webhooks", body={"url": url, "events": ["job.completed"]})
    assert (answer.status, answer.error["code"]) == (400, "WEBHOOK_INVALID_URL")
