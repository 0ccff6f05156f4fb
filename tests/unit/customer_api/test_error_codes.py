"""Every published code is provoked through HTTP, and every code that the source can utter is explained."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import botocore.session
import httpx
import pytest
from botocore.credentials import CredentialResolver

from functions.customer_api.reference.errors import CODES, PUBLISHED
from gpupool.accounts.model import Scope
from gpupool.bootstrap import build_customer_core, build_deliverer
from gpupool.objects.s3 import S3ObjectStore
from gpupool.webhooks.sender import Outcome
from tests.support.customer_door import SEED_SCOPES, Door, Visitor

ROOT = Path(__file__).parents[3]
KEY = {"Idempotency-Key": "client-uuid-12345678"}

# The node door has a vocabulary of its own, and these rooms speak to nobody else.
_NODE_ROOMS = {"functions/node_api", "gpupool/nodes", "gpupool/units", "gpupool/wire", "gpupool/dispatch"}
# What only the operator's command can provoke.
_OPERATORS = {"CUSTOMER_NOT_FOUND"}


def anonymous(door: Door) -> httpx.Response:
    return door.stranger().get("/datasets")


def unknown_key(door: Door) -> httpx.Response:
    return Visitor(door, "", {"x-api-key": "sk_alpha_" + "0" * 24}).get("/datasets")


def revoked_key(door: Door) -> httpx.Response:
    ada = door.customer()
    made = ada.post("/api-keys", {"name": "k", "scopes": ["dataset:read"]}).json()
    ada.delete(f"/api-keys/{made['id']}")
    return Visitor(door, ada.id, {"x-api-key": made["key"]}).get("/datasets")


def narrow_key(door: Door) -> httpx.Response:
    return door.customer(scopes=(Scope.USAGE_READ,)).get("/datasets")


def poor_customer(door: Door) -> httpx.Response:
    ada = door.customer(credits=1)
    return ada.post("/training-jobs", ada.job_request())


def hasty_customer(door: Door) -> httpx.Response:
    ada = door.customer()
    answers = [ada.post("/training-jobs", {}) for _ in range(11)]
    return answers[-1]


def busy_day(door: Door) -> httpx.Response:
    ada = door.customer()
    door.ports.limits.set_maxima(ada.id, live_jobs=None, units_per_day=1)
    return ada.post("/training-jobs", ada.job_request())


def image_job(door: Door) -> httpx.Response:
    return door.stranger().post("/jobs/image", {"prompt": "a cat"})


def unknown_job(door: Door) -> httpx.Response:
    return door.customer().get("/training-jobs/nothing")


def unknown_artifact(door: Door) -> httpx.Response:
    ada = door.customer()
    return ada.post(f"/training-jobs/{ada.job()['id']}/artifacts/nothing/download-url")


def storage_without_a_signature(door: Door) -> httpx.Response:
    """The real adapter, whose client has no credentials to sign with."""
    ada = door.customer()
    session = botocore.session.Session()
    session.register_component("credential_provider", CredentialResolver([]))
    client = session.create_client("s3", region_name="eu-central-1")
    door.ports.objects = S3ObjectStore(client, bucket="artifacts")  # type: ignore[assignment]
    door.core = build_customer_core(door.ports)
    return ada.post("/datasets", {"name": "rows", "size_bytes": 1, "sha256": "ab" * 32})


def key_for_two_requests(door: Door) -> httpx.Response:
    ada = door.customer()
    request = ada.job_request()
    ada.post("/training-jobs", request, headers=KEY)
    return ada.post("/training-jobs", request | {"name": "another"}, headers=KEY)


def short_key(door: Door) -> httpx.Response:
    ada = door.customer()
    return ada.post("/training-jobs", ada.job_request(), headers={"Idempotency-Key": "short"})


def torn_cursor(door: Door) -> httpx.Response:
    return door.customer().get("/datasets?cursor=eyJ0cyI6MX0")


def long_export(door: Door) -> httpx.Response:
    return door.customer().get("/usage/export.csv?date_from=2026-01-01&date_to=2026-12-31")


def inner_webhook(door: Door) -> httpx.Response:
    return door.customer().post("/webhooks", {"url": "http://localhost/hook", "events": ["job.completed"]})


def ruined_delivery(door: Door) -> httpx.Response:
    """Not an answer of its own: it stands in the delivery, once the receiver has said that it is gone."""
    ada = door.customer()
    webhook = ada.post("/webhooks", {"url": "https://receiver.example/", "events": ["job.completed"]}).json()["id"]
    delivery = ada.post(f"/webhooks/{webhook}/test").json()["delivery_id"]
    door.ports.sender.answer = lambda _sent: Outcome(1, status_code=410)
    ref = door.ports.webhook_queue.take()
    assert ref is not None
    build_deliverer(door.ports).deliver(ref)
    return ada.get(f"/webhooks/{webhook}/deliveries/{delivery}")


def crash(door: Door) -> httpx.Response:
    ada = door.customer(scopes=SEED_SCOPES)
    del door.world.jobs
    return ada.get("/training-jobs/x")


PROVOCATIONS: dict[str, Callable[[Door], httpx.Response]] = {
    "CUSTOMER_AUTH_REQUIRED": anonymous,
    "API_KEY_INVALID": unknown_key,
    "API_KEY_REVOKED": revoked_key,
    "API_KEY_SCOPE_DENIED": narrow_key,
    "CREDIT_INSUFFICIENT": poor_customer,
    "RATE_LIMITED": hasty_customer,
    "DAILY_TASK_LIMIT_EXCEEDED": busy_day,
    "LEGACY_DEPRECATED": image_job,
    "JOB_NOT_FOUND": unknown_job,
    "ARTIFACT_NOT_FOUND": unknown_artifact,
    "SIGNED_URL_FAILED": storage_without_a_signature,
    "IDEMPOTENCY_CONFLICT": key_for_two_requests,
    "IDEMPOTENCY_KEY_INVALID": short_key,
    "PAGINATION_INVALID_CURSOR": torn_cursor,
    "EXPORT_RANGE_TOO_LARGE": long_export,
    "WEBHOOK_INVALID_URL": inner_webhook,
    "WEBHOOK_DELIVERY_FAILED": ruined_delivery,
    "INTERNAL_ERROR": crash,
}


@pytest.mark.parametrize("code", PROVOCATIONS)
def test_a_published_code_comes_with_its_status_and_says_what_to_do(code: str) -> None:
    answer = PROVOCATIONS[code](Door())
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (CODES[code].status, code)
    assert len(error["message"]) > 20
    assert (answer.status_code == 429) == ("retry-after" in answer.headers)


def test_all_published_codes_are_provoked() -> None:
    provoked = {code for code, provoke in PROVOCATIONS.items() if provoke(Door()).json()["error"]["code"] == code}
    print(f"error codes provoked: {len(provoked)} of {len(PUBLISHED)}")
    assert set(PUBLISHED) - provoked == set()
    assert len(PUBLISHED) == 18


def uttered() -> Iterator[tuple[str, str]]:
    """Every code in the source that the customer door can reach, as a pattern, with where it stands."""
    for folder in ("functions/customer_api", "layers/gpupool/python/gpupool"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            place = str(path.relative_to(ROOT))
            if "reference" in path.parts or any(room in place for room in _NODE_ROOMS):
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                yield from ((code, f"{place}:{getattr(node, 'lineno', 0)}") for code in codes_in(node))


def codes_in(node: ast.AST) -> Iterator[str]:
    """``code=``, ``default_code =`` and ``code: str =`` with a literal or an f-string, and what ``error_response`` is given."""
    values: list[ast.expr | None] = []
    if isinstance(node, ast.Call):
        values += [keyword.value for keyword in node.keywords if keyword.arg == "code"]
        if getattr(node.func, "id", "") == "error_response":
            values += node.args
    elif isinstance(node, ast.Assign) and {getattr(each, "id", "") for each in node.targets} & {"code", "default_code"}:
        values.append(node.value)
    elif isinstance(node, ast.arguments):
        values += [
            default for argument, default in zip(node.kwonlyargs, node.kw_defaults, strict=True) if argument.arg == "code"
        ]
    elif isinstance(node, ast.Dict) and all(isinstance(key, ast.Constant) and isinstance(key.value, int) for key in node.keys):
        values += node.values  # codes by status, as routing has them
    elif isinstance(node, ast.Tuple) and len(node.elts) == 2 and " " in (pattern_of(node.elts[1]) or ""):
        values.append(node.elts[0])  # a code with its sentence
    for value in values:
        text = pattern_of(value)
        if text is not None and re.fullmatch(r"(\.\+|[A-Z0-9])+(_(\.\+|[A-Z0-9]+))+", text):
            yield text


def pattern_of(value: ast.expr | None) -> str | None:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    if isinstance(value, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else ".+" for part in value.values)
    return None


def test_every_code_of_the_source_is_explained() -> None:
    found = list(uttered())
    missing = {
        code: place for code, place in found if code not in _OPERATORS and not any(re.fullmatch(code, known) for known in CODES)
    }
    assert missing == {}, "explain them in functions/customer_api/reference/errors.py"
    assert {"JOB_NOT_FOUND", "VALIDATION_FAILED", "TRY_AGAIN", "MANIFEST_INVALID", ".+_NOT_FOUND"} <= {
        code for code, _ in found
    }


def test_every_explained_code_can_be_uttered() -> None:
    patterns = {code for code, _ in uttered()}
    silent = {code for code in CODES if code not in PUBLISHED and not any(re.fullmatch(each, code) for each in patterns)}
    assert silent == set(), "remove them from functions/customer_api/reference/errors.py"


def test_causes_and_remedies_are_sentences() -> None:
    for code, refusal in CODES.items():
        assert refusal.cause[0].isupper(), code
        assert refusal.cause.endswith("."), code
        assert refusal.remedy.endswith("."), code
        assert 400 <= refusal.status < 600 or code == "WEBHOOK_DELIVERY_FAILED", code
