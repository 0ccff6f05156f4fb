"""One customer's ids mean nothing to another: 404 as for an id that never was, and nothing of them in any list."""

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stack import packages
from tests.stack.customers import Answer, Customer, Json
from tests.stack.machines import Machines

pytestmark = pytest.mark.stack

ROUTES = [
    ("GET", "/datasets/{dataset}"),
    ("POST", "/datasets/{dataset}/finalize"),
    ("DELETE", "/datasets/{dataset}"),
    ("GET", "/training-packages/{package}"),
    ("POST", "/training-packages/{package}/finalize"),
    ("DELETE", "/training-packages/{package}"),
    ("GET", "/training-jobs/{job}"),
    ("POST", "/training-jobs/{job}/cancel"),
    ("GET", "/training-jobs/{job}/compute-units"),
    ("GET", "/training-jobs/{job}/artifacts"),
    ("POST", "/training-jobs/{job}/artifacts/{artifact}/download-url"),
]
LISTS = ["/datasets", "/training-packages", "/training-jobs"]
MONEY = ["/credits/ledger", "/credits/statement.csv", "/usage/summary", "/usage/daily", "/usage/export.csv"]


@pytest.fixture(scope="module")
def owned(customer: Customer, machines: Machines, desk: Path) -> dict[str, str]:
    """Ids of everything that the first customer owns."""
    job = customer.ended(customer.train(packages.script(packages.TRAIN), desk))
    assert job["status"] == "completed"
    artifact = customer.client.artifacts(job["id"])[0]
    ids = {"dataset": job["dataset_id"], "package": job["training_package_id"]}
    return {"job": job["id"], "artifact": artifact["id"], **ids}


@pytest.fixture(scope="module")
def stranger(new_customers: Callable[[int], Customer]) -> Customer:
    return new_customers(1_000)


def told(answer: Answer) -> tuple[int, Json]:
    """The answer without what differs between any two requests."""
    return answer.status, {name: value for name, value in answer.error.items() if name != "request_id"}


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_foreign_id_is_an_unknown_id(stranger: Customer, owned: dict[str, str], method: str, path: str) -> None:
    nowhere = {name: str(uuid.uuid4()) for name in owned}

    foreign = stranger.ask(method, path.format(**owned))

    assert foreign.status == 404
    assert told(foreign) == told(stranger.ask(method, path.format(**nowhere)))


def test_foreign_artifact_under_ones_own_job(customer: Customer, owned: dict[str, str], desk: Path) -> None:
    package = customer.upload("training-packages", packages.script(packages.TRAIN), desk)
    other = customer.submit(customer.wish(package, {"id": owned["dataset"]}, required_vram_mb=80_000))

    answer = customer.ask("POST", f"/training-jobs/{other['id']}/artifacts/{owned['artifact']}/download-url")
    customer.client.cancel(other["id"])

    assert (answer.status, answer.error["code"]) == (404, "ARTIFACT_NOT_FOUND")


def test_lists_show_ones_own_only(customer: Customer, stranger: Customer, owned: dict[str, str]) -> None:
    seen = str([stranger.ask("GET", path).body for path in [*LISTS, *MONEY]])

    assert not any(identifier in seen for identifier in owned.values())
    assert all(customer.ask("GET", path).body["data"] for path in LISTS)


def test_cursor_of_another_customer_is_refused(customer: Customer, stranger: Customer, owned: dict[str, str]) -> None:
    page = customer.ask("GET", "/credits/ledger?limit=1").body["page"]

    answer = stranger.ask("GET", f"/credits/ledger?limit=1&cursor={page['next_cursor']}")

    assert page["has_more"]
    assert (answer.status, answer.error["code"]) == (400, "PAGINATION_INVALID_CURSOR")


def test_owner_is_untouched_by_all_that(customer: Customer, owned: dict[str, str]) -> None:
    """Last in this file: after a stranger tried to cancel and delete everything."""
    assert customer.ask("GET", f"/training-jobs/{owned['job']}").body["status"] == "completed"
    assert customer.ask("GET", f"/datasets/{owned['dataset']}").body["status"] == "ready"
    assert customer.ask("GET", f"/training-packages/{owned['package']}").body["status"] == "ready"


def test_without_key_there_is_nothing(customer: Customer, owned: dict[str, str]) -> None:
    nobody = Customer(api=customer.api, email="", key="sk_alpha_" + "0" * 24)

    assert {nobody.ask(method, path.format(**owned)).status for method, path in ROUTES} == {401}
