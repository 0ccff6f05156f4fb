"""Usage and its files, with API Gateway's events, on the real adapters."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from functions.customer_api.handler import handler
from gpupool import aws, bootstrap
from gpupool.accounts.model import Scope
from gpupool.ledger.model import EntryKind
from gpupool.usage.service import Usage
from tests.factories import CUSTOMER_ID, a_customer, a_unit
from tests.functional.steps import given_a_running_job
from tests.support.deployment import BUCKET, deployed
from tests.support.events import Answer, invoke, load_event

PREFIX = "/api/v1/customer/"


@pytest.fixture(autouse=True)
def _deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with deployed(monkeypatch):
        secret = aws.secretsmanager().create_secret(Name="signing", SecretString="a secret of sixty-four characters")
        monkeypatch.setenv("SIGNING_SECRET_ARN", secret["ARN"])
        yield


@dataclass
class Caller:
    key: str

    def get(self, path: str, query: str = "") -> Answer:
        event = load_event("customer_api.get")
        event["headers"]["x-api-key"] = self.key
        event["rawPath"] = event["requestContext"]["http"]["path"] = PREFIX + path
        event["rawQueryString"] = query
        return invoke(handler, event)


@pytest.fixture
def ada() -> Caller:
    """A customer whose job has one completed and paid unit."""
    ports = bootstrap.ports()
    ports.accounts.add_customer(a_customer())
    given_a_running_job(a_unit(0, name="train_000", credits=7))
    unit = ports.units.get(a_unit(0).id)
    assert unit is not None
    bootstrap.build_settlement(ports).settle(unit)
    accounts = bootstrap.build_accounts(ports)
    return Caller(accounts.create_key(CUSTOMER_ID, name="k", scopes=frozenset(Scope), expires_at=None).plaintext)


def rows(answer: Answer) -> list[dict[str, str]]:
    assert (answer.status, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    return list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))


def test_a_completed_unit_is_in_ledger_days_export_and_statement(ada: Caller) -> None:
    unit = a_unit(0)
    entry = ada.get("credits/ledger", "limit=1").body["data"][0]
    assert (entry["kind"], entry["amount"], entry["note"]) == (EntryKind.DEBIT, 7, "train_000")
    today = entry["created_at"][:10]
    day = ada.get("usage/daily", "days=1").body["data"][-1]
    assert (day["date"], day["credits_spent"], day["units_completed"]) == (today, 7, 1)
    export = ada.get("usage/export.csv")
    assert export.headers["content-disposition"].startswith('attachment; filename="usage-')
    (row,) = rows(export)
    assert row == {
        "date": today,
        "time": entry["created_at"][11:19],
        "job_id": unit.job_id,
        "unit_id": unit.id,
        "unit_name": "train_000",
        "credits": "7",
    }
    last = rows(ada.get("credits/statement.csv"))[-1]
    assert last["kind"] == "closing_balance"
    balance = ada.get("usage/summary").body["credits"]
    assert {name: int(last[name]) for name in ("available", "held", "spent")} == {
        name: balance[name] for name in ("available", "held", "spent")
    }
    assert balance["spent"] == 7


def test_the_running_balance_goes_on_over_pages(ada: Caller) -> None:
    seen, query = [], "limit=1"
    while query:
        page = ada.get("credits/ledger", query).body
        seen += [(entry["kind"], entry["balance_after"], entry["held_after"], entry["spent_after"]) for entry in page["data"]]
        following = page["page"]["next_cursor"]
        query = following and f"limit=1&cursor={following}"
    assert seen == [("debit", 970, 23, 7), ("hold", 970, 30, 0), ("grant", 1000, 0, 0)]


def test_a_large_export_lies_in_the_bucket_as_csv(ada: Caller) -> None:
    ports = bootstrap.ports()
    small = Usage(credits=bootstrap.build_credits(ports), objects=ports.objects, clock=ports.clock, inline_bytes=10)
    found = small.export(CUSTOMER_ID, date_from=None, date_to=None)
    assert found.body is None
    assert found.url is not None
    assert "X-Amz-Expires=900" in found.url
    assert "response-content-disposition" in found.url
    (key,) = [each["Key"] for each in aws.s3().list_objects_v2(Bucket=BUCKET, Prefix=f"exports/{CUSTOMER_ID}/")["Contents"]]
    stored = aws.s3().get_object(Bucket=BUCKET, Key=key)
    assert stored["ContentType"] == "text/csv; charset=utf-8"
    assert stored["Body"].read() == ada.get("usage/export.csv").body
