"""What belongs to somebody else is not there: every route with an id, and every list, asked by the wrong customer.

Routes come from the published document. A new route with an id fails here until ``Estate.ids`` holds a value for it, a new
list until an estate has two of what it lists.
"""

import hashlib
import re
from dataclasses import replace
from typing import Any

import httpx

from functions.customer_api.routes import PREFIX
from gpupool.bootstrap import build_once
from gpupool.objects.model import SignedPut
from gpupool.uploads.parts import PartTerms
from gpupool.uploads.service import Uploads
from tests.platform import Machine, Platform
from tests.support.customer_door import Door, Visitor, operations

LARGE = 400  # more than what goes in one piece here, packages included
MADE_UP = "019aa5f0-0000-7000-8000-00000000abcd"


class Estate:
    """A customer who owns two of everything, one job of it run to its end.

    ``ids`` has a value per path that ends in an id, so that the same name may mean different things in different places.
    """

    def __init__(self, platform: Platform, door: Door, email: str) -> None:
        self.visitor = door.customer(email, credits=1_000)
        jobs = [self.visitor.job(name=name) for name in ("first", "second")]
        platform.settle()
        Machine(platform).work_off()
        last = jobs[-1]
        artifacts = self.visitor.get(f"/training-jobs/{last['id']}/artifacts").json()["data"]
        keys = [self.visitor.post("/api-keys", {"name": "k", "scopes": ["usage:read"]}).json() for _ in range(2)]
        parted = self.visitor.declare("datasets", b"x" * LARGE)
        for part in self._sign(parted["id"], 1, 2):
            assert door.ports.objects.upload(SignedPut(part["url"], part["headers"], part["method"]), b"x" * 8)
        # A path that is not here has the value of the id that it begins with.
        wish = {"url": "https://receiver.example/", "events": ["job.completed"]}
        hooks = [self.visitor.post("/webhooks", wish).json() for _ in range(2)]
        sent = [self.visitor.post(f"/webhooks/{hooks[0]['id']}/test").json() for _ in range(2)]
        self.ids = {
            "/datasets/{upload_id}/parts": parted["id"],
            "/datasets/{upload_id}": last["dataset_id"],
            "/training-packages/{upload_id}": last["training_package_id"],
            "/training-jobs/{job_id}": last["id"],
            "/training-jobs/{job_id}/artifacts/{artifact_id}": artifacts[0]["id"],
            "/api-keys/{key_id}": keys[0]["id"],
            "/webhooks/{webhook_id}": hooks[0]["id"],
            "/webhooks/{webhook_id}/deliveries/{delivery_id}": sent[0]["delivery_id"],
        }

    def values(self, path: str) -> list[str]:
        """What to put into the path, one value for each of its ids."""
        return [self.ids.get(path, self.ids[place]) if place == places(path)[-1] else self.ids[place] for place in places(path)]

    def _sign(self, upload_id: str, *numbers: int) -> list[dict[str, Any]]:
        wanted = [{"part_number": number, "sha256": hashlib.sha256(b"x" * 8).hexdigest()} for number in numbers]
        signed: list[dict[str, Any]] = self.visitor.post(f"/datasets/{upload_id}/parts", {"parts": wanted}).json()["parts"]
        return signed


class Neighbours:
    """Two customers of one platform, each with an estate of its own."""

    def __init__(self) -> None:
        platform = Platform()
        door = Door(platform.ports)
        small = PartTerms(above_bytes=LARGE - 1, min_part_bytes=8)
        ports, once = platform.ports, build_once(platform.ports)
        uploads = Uploads(store=ports.uploads, objects=ports.objects, once=once, clock=ports.clock, terms=small)
        door.core = replace(door.core, uploads=uploads)
        self.ada = Estate(platform, door, "ada@example.com")
        self.bob = Estate(platform, door, "bob@example.com")


def places(path: str) -> list[str]:
    """The parts of a path that end in an id: ``/a/{x}/b/{y}`` has ``/a/{x}`` and ``/a/{x}/b/{y}``."""
    return [path[: found.end()] for found in re.finditer(r"\{\w+\}", path)]


def filled(path: str, values: list[str]) -> str:
    rest = iter(values)
    return re.sub(r"\{\w+\}", lambda _: next(rest), path)


def body_of(operation: dict[str, Any]) -> Any:
    """The published example: a refusal of the body would come before that of the id."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return None if content is None else content["examples"]["default"]["value"]


def ask(visitor: Visitor, method: str, path: str, operation: dict[str, Any]) -> httpx.Response:
    body = body_of(operation)
    return visitor.send(method, path, **({} if body is None else {"json": body}))


def told(answer: httpx.Response) -> tuple[int, dict[str, Any]]:
    return answer.status_code, {name: value for name, value in answer.json()["error"].items() if name != "request_id"}


def with_ids() -> list[tuple[str, str, dict[str, Any]]]:
    return [(method, path.removeprefix(PREFIX), found) for method, path, found in operations() if "{" in path]


def difference(method: str, path: str, operation: dict[str, Any], at: int) -> str | None:
    """What bob learns of ada's thing at the ``at``-th id of the path, below things of his own; None when it is nothing."""
    both = Neighbours()
    mine, hers = both.bob.values(path)[:at], both.ada.values(path)[at:]
    foreign = told(ask(both.bob.visitor, method, filled(path, [*mine, *hers]), operation))
    unknown = told(ask(both.bob.visitor, method, filled(path, [*mine, *(MADE_UP for _ in hers)]), operation))
    if foreign != unknown or foreign[0] != 404:
        return f"{foreign} for what is another's, {unknown} for what is not there"
    owner = ask(both.ada.visitor, method, filled(path, both.ada.values(path)), operation)
    return "the owner cannot find it either, so nothing is shown" if owner.status_code == 404 else None


def test_anothers_id_is_refused_exactly_like_one_that_never_was() -> None:
    known = Neighbours().ada.ids
    covered, wrong = 0, {}
    for method, path, operation in with_ids():
        name = f"{method} {path}"
        missing = [place for place in places(path) if place not in known]
        if missing:
            wrong[name] = f"Estate.ids has no value for {missing}"
            continue
        found = [difference(method, path, operation, at) for at in range(len(places(path)))]
        covered += 1
        if any(found):
            wrong[name] = str(found)
    print(f"isolation: {len(with_ids())} routes with ids, {covered} covered")
    assert wrong == {}
    assert covered >= 10


def test_anothers_cursor_is_refused_by_every_list() -> None:
    both = Neighbours()
    lists = [
        (method, path.removeprefix(PREFIX))
        for method, path, found in operations()
        if any(each["name"] == "cursor" for each in found.get("parameters", []))
    ]
    wrong = {}
    for method, path in lists:
        hers = both.ada.visitor.send(method, filled(path, both.ada.values(path)), params={"limit": 1})
        cursor = hers.json()["page"]["next_cursor"]
        if cursor is None:
            wrong[path] = "an Estate needs two of what this lists"
            continue
        own = filled(path, both.bob.values(path))
        answer = both.bob.visitor.send(method, own, params={"limit": 1, "cursor": cursor})
        if (answer.status_code, answer.json().get("error", {}).get("code")) != (400, "PAGINATION_INVALID_CURSOR"):
            wrong[path] = answer.text
    print(f"isolation: {len(lists)} lists refuse another's cursor")
    assert wrong == {}
    assert len(lists) >= 7
