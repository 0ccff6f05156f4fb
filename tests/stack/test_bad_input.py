"""What the API refuses: its code, the field, a sentence that helps, and nothing held or half-written."""

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stack import packages
from tests.stack.customers import DATA, Answer, Customer, Json

pytestmark = pytest.mark.stack

_ENTRY = '[package]\nentry = "train.py"\n'
_CIRCLE = """
    [strategy]
    kind = "dag"
    [[units]]
    name = "a"
    entry = "train.py"
    needs = ["b"]
    [[units]]
    name = "b"
    entry = "train.py"
    needs = ["a"]
"""


def _manifest(text: str) -> bytes:
    return packages.package(train_py=packages.TRAIN, gpu_agent_toml=text)


BAD_PACKAGES: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "dots": (lambda: packages.with_path("../evil.py"), "PACKAGE_UNSAFE", "/sha256"),
    "hidden dots": (lambda: packages.with_path("a/../../evil.py"), "PACKAGE_UNSAFE", "/sha256"),
    "absolute": (lambda: packages.with_path("/etc/cron.d/evil"), "PACKAGE_UNSAFE", "/sha256"),
    "symlink": (packages.with_symlink, "PACKAGE_UNSAFE", "/sha256"),
    "bomb": (packages.bomb, "PACKAGE_UNSAFE", "/sha256"),
    "no zip": (lambda: b"PK\x03\x04 but no more", "PACKAGE_INVALID", "/sha256"),
    "no entry": (lambda: packages.zipped({"a.py": "", "b.py": ""}), "PACKAGE_NO_ENTRY", "/entry"),
    "no TOML": (lambda: _manifest("[package\n"), "MANIFEST_INVALID", ""),
    "unknown key": (lambda: _manifest(_ENTRY + 'entri = "x"\n'), "MANIFEST_INVALID", "/package/entri"),
    "missing entry": (lambda: _manifest('[package]\nentry = "tran.py"\n'), "MANIFEST_INVALID", "/package/entry"),
    "circle": (lambda: _manifest(_CIRCLE), "PLAN_CYCLIC", "/units/0/needs"),
}


@pytest.fixture(scope="module")
def dataset(customer: Customer, desk: Path) -> Json:
    return customer.upload("datasets", DATA, desk)


@pytest.fixture(scope="module")
def good_package(customer: Customer, desk: Path) -> Json:
    return customer.upload("training-packages", packages.script(packages.TRAIN), desk)


def assert_refused(answer: Answer, status: int, code: str, field: str) -> None:
    assert (answer.status, answer.error["code"]) == (status, code), answer
    assert answer.error["details"]["field"] == field
    assert len(answer.error["message"].split()) > 4
    assert answer.error["request_id"]


def assert_untouched(customer: Customer) -> None:
    """Credits and jobs are as on the first day."""
    assert customer.balance() == {"available": 1_000, "held": 0, "spent": 0, "granted": 1_000}
    assert [entry["kind"] for entry in customer.ask("GET", "/credits/ledger").body["data"]] == ["grant"]
    assert customer.ask("GET", "/training-jobs").body["data"] == []


def submit(customer: Customer, body: Json, *, key: str | None = None) -> Answer:
    return customer.ask("POST", "/training-jobs", body=body, headers={"Idempotency-Key": key or str(uuid.uuid4())})


@pytest.mark.parametrize("name", BAD_PACKAGES)
def test_bad_package_is_never_ready(customer: Customer, dataset: Json, name: str) -> None:
    make, code, field = BAD_PACKAGES[name]
    content = make()
    declared = customer.declare("training-packages", content)
    assert customer.send(declared, content).status == 200

    answer = customer.finalize("training-packages", declared)

    assert_refused(answer, 400, code, field)
    kept = customer.ask("GET", f"/training-packages/{declared['id']}").body
    assert (kept["status"], kept["manifest"], kept["finalized_at"]) == ("pending_upload", None, None)
    job = submit(customer, customer.wish(declared, dataset))
    assert_refused(job, 409, "TRAINING_PACKAGE_NOT_READY", "/training_package_id")
    assert_untouched(customer)


def test_dataset_that_differs_from_its_declaration_never_arrives(customer: Customer, good_package: Json) -> None:
    declared = customer.declare("datasets", DATA, sha256="0" * 64)

    sent = customer.send(declared, DATA)

    assert 400 <= sent.status < 500
    assert_refused(customer.finalize("datasets", declared), 409, "UPLOAD_MISSING", "/id")
    job = submit(customer, customer.wish(good_package, declared))
    assert_refused(job, 409, "DATASET_NOT_READY", "/dataset_id")
    assert_untouched(customer)


def test_job_on_a_dataset_of_nobody_or_of_somebody_else(
    customer: Customer, new_customers: Callable[[int], Customer], good_package: Json, desk: Path
) -> None:
    foreign = new_customers(0).upload("datasets", DATA, desk)

    answers = [
        submit(customer, customer.wish(good_package, foreign)),
        submit(customer, customer.wish(good_package, {"id": str(uuid.uuid4())})),
    ]

    for answer in answers:
        assert_refused(answer, 404, "DATASET_NOT_FOUND", "/dataset_id")
    assert answers[0].error["message"] == answers[1].error["message"]
    assert_untouched(customer)


def test_unknown_parameter(customer: Customer, dataset: Json, desk: Path) -> None:
    package = customer.upload("training-packages", _manifest(_ENTRY + "[parameters]\nepochs = 3\n"), desk)

    misspelt = submit(customer, customer.wish(package, dataset, parameters={"epoch": 5}))
    of_another_type = submit(customer, customer.wish(package, dataset, parameters={"epochs": "five"}))

    assert_refused(misspelt, 400, "UNKNOWN_PARAMETER", "/parameters/epoch")
    assert_refused(of_another_type, 400, "VALIDATION_FAILED", "/parameters/epochs")
    assert_untouched(customer)


def test_malformed_wishes(customer: Customer, dataset: Json, good_package: Json) -> None:
    good = customer.wish(good_package, dataset)
    wishes = {
        "/max_runtime_minutes": good | {"max_runtime_minutes": 2},
        "/required_vram_mb": {name: value for name, value in good.items() if name != "required_vram_mb"},
        "/max_runtime_seconds": good | {"max_runtime_seconds": 59},
        "/sensitivity": good | {"sensitivity": "secret"},
        "/prize": good | {"prize": 1},
    }

    for field, body in wishes.items():
        assert_refused(submit(customer, body), 400, "VALIDATION_FAILED", field)
    assert_refused(submit(customer, good, key="short"), 400, "IDEMPOTENCY_KEY_INVALID", "Idempotency-Key")
    assert_refused(submit(customer, good | {"sensitivity": "private"}), 400, "SENSITIVITY_UNAVAILABLE", "/sensitivity")
    assert_untouched(customer)


def test_too_little_credit(new_customers: Callable[[int], Customer], desk: Path) -> None:
    poor = new_customers(10)
    package = poor.upload("training-packages", packages.script(packages.TRAIN), desk)
    dataset = poor.upload("datasets", DATA, desk)
    key = str(uuid.uuid4())

    answer = submit(poor, poor.wish(package, dataset), key=key)

    assert_refused(answer, 402, "CREDIT_INSUFFICIENT", "/max_runtime_seconds")
    assert answer.error["details"]["available"] == 10 < answer.error["details"]["required"]
    assert poor.balance() == {"available": 10, "held": 0, "spent": 0, "granted": 10}
    assert poor.ask("GET", "/training-jobs").body["data"] == []
    # The refused request has not used its key up, and holds on to nothing that it named.
    assert submit(poor, poor.wish(package, dataset) | {"name": "another"}, key=key).status == 402
    assert poor.ask("DELETE", f"/datasets/{dataset['id']}").status == 204


def test_one_key_holds_one_job(customer: Customer, desk: Path) -> None:
    """Last in this file: it leaves a job. No machine has this much VRAM, so it waits until it is cancelled."""
    package = customer.upload("training-packages", packages.for_a_gpu(), desk)
    body = customer.wish(package, customer.upload("datasets", DATA, desk), required_vram_mb=80_000)
    key = str(uuid.uuid4())
    first = submit(customer, body, key=key)
    held = customer.balance()["held"]

    answer = submit(customer, body | {"max_runtime_seconds": 120}, key=key)

    assert first.status == 201
    assert_refused(answer, 409, "IDEMPOTENCY_CONFLICT", "Idempotency-Key")
    assert [job["id"] for job in customer.ask("GET", "/training-jobs").body["data"]] == [first.body["id"]]
    assert customer.balance()["held"] == held == first.body["quote"]["credits"]
    in_use = customer.ask("DELETE", f"/training-packages/{package['id']}")
    assert (in_use.status, in_use.error["code"]) == (409, "TRAINING_PACKAGE_IN_USE")
    customer.client.cancel(first.body["id"])
    assert customer.ended(first.body)["status"] == "cancelled"
