"""Credits and their use at the customer door."""

import csv
import io
from dataclasses import replace

import httpx
import pytest

from gpupool.accounts.model import Scope
from gpupool.ledger.model import debit
from gpupool.usage.service import Usage
from tests.support.customer_door import SEED_SCOPES, Door, Visitor
from tests.support.work import a_unit

DAY = 86_400


@pytest.fixture
def door() -> Door:
    return Door()


def a_customer(door: Door, email: str = "ada@example.com", *, credits: int = 1000) -> Visitor:
    """By API key: a session would end while the clock runs on."""
    return door.customer(email, scopes=(*SEED_SCOPES, Scope.USAGE_READ), credits=credits)


def rows(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))


def complete(door: Door, visitor: Visitor, job_id: str, *, index: int = 0, amount: int = 2, name: str = "train") -> str:
    """Settles a unit of the job, now; its id."""
    unit = a_unit(index, id=f"{job_id}.{index:05d}", job_id=job_id, customer_id=visitor.id)
    at = door.ports.clock.now()
    door.ports.transitions.settle(
        unit, debit(customer_id=visitor.id, job_id=job_id, unit_id=unit.id, amount=amount, at=at, note=name)
    )
    return unit.id


def test_each_ledger_entry_shows_what_it_left(door: Door) -> None:
    ada = a_customer(door)
    job = ada.job()
    held = job["quote"]["credits"]
    door.ports.clock.advance(1)
    complete(door, ada, job["id"], amount=3)
    found = {entry["kind"]: entry for entry in ada.get("/credits/ledger").json()["data"]}
    left = {kind: (entry["balance_after"], entry["held_after"], entry["spent_after"]) for kind, entry in found.items()}
    assert left["debit"] == (1000 - held, held - 3, 3)
    assert found["debit"]["note"] == "train"
    assert left["hold"] == (1000 - held, held, 0)
    assert left["grant"] == (1000, 0, 0)


@pytest.mark.parametrize("age", [0, DAY])
def test_the_balance_runs_on_over_pages(door: Door, age: int) -> None:
    ada = a_customer(door, credits=100)
    for amount in (5, 7, 11):
        door.ports.clock.advance(1)
        door.core.credits.grant(ada.id, amount=amount, note="")
    door.ports.clock.advance(age)
    seen, cursor = [], ""
    while cursor is not None:
        page = ada.get(f"/credits/ledger?limit=1{cursor and f'&cursor={cursor}'}").json()
        seen += [entry["balance_after"] for entry in page["data"]]
        cursor = page["page"]["next_cursor"]
    assert seen == [123, 112, 105, 100]


@pytest.mark.parametrize("age", [0, DAY])
def test_a_cursor_carries_its_owners_balance_only(door: Door, age: int) -> None:
    ada, bob = a_customer(door), a_customer(door, "bob@example.com")
    door.ports.clock.advance(1)
    door.core.credits.grant(ada.id, amount=5, note="")
    door.ports.clock.advance(age // 2)
    cursor = ada.get("/credits/ledger?limit=1").json()["page"]["next_cursor"]
    assert bob.get(f"/credits/ledger?limit=1&cursor={cursor}").json()["error"]["code"] == "PAGINATION_INVALID_CURSOR"
    assert bob.get(f"/training-jobs?cursor={cursor}").json()["error"]["code"] == "PAGINATION_INVALID_CURSOR"


def test_the_summary_tells_this_month_and_the_last_thirty_days(door: Door) -> None:
    ada = a_customer(door)
    first = ada.job()
    complete(door, ada, first["id"], amount=3)
    door.ports.clock.advance(31 * DAY)  # the first of February; the job above is 31 days old
    complete(door, ada, first["id"], index=1, amount=4)
    second = ada.job()
    told = ada.get("/usage/summary").json()
    held = first["quote"]["credits"] + second["quote"]["credits"] - 7
    assert told["credits"] == {"available": 1000 - held - 7, "held": held, "spent": 7, "granted": 1000}
    assert told["this_month"] == {"since": "2026-02-01", "credits_spent": 4, "units_completed": 1, "jobs_submitted": 1}
    assert told["last_30_days"] == {"since": "2026-01-03", "credits_spent": 4, "units_completed": 1, "jobs_submitted": 1}
    assert told["as_of"] == "2026-02-01T00:00:00.000Z"


def test_days_without_entries_are_told_too(door: Door) -> None:
    ada = a_customer(door)
    job = ada.job()
    door.ports.clock.advance(2 * DAY)
    complete(door, ada, job["id"], amount=3)
    told = ada.get("/usage/daily?days=4").json()
    nothing = {"credits_spent": 0, "units_completed": 0, "credits_held": 0, "credits_released": 0, "credits_granted": 0}
    held = {"credits_held": job["quote"]["credits"], "credits_granted": 1000}
    assert told["data"] == [
        {"date": "2025-12-31", **nothing},
        {"date": "2026-01-01", **nothing, **held},
        {"date": "2026-01-02", **nothing},
        {"date": "2026-01-03", **nothing, "credits_spent": 3, "units_completed": 1},
    ]
    assert told["totals"] == {**nothing, **held, "credits_spent": 3, "units_completed": 1}


@pytest.mark.parametrize(("query", "length"), [("", 30), ("?days=1", 1), ("?days=90", 90)])
def test_daily_usage_has_as_many_days_as_asked_for(door: Door, query: str, length: int) -> None:
    assert len(door.customer().get(f"/usage/daily{query}").json()["data"]) == length


def test_the_export_has_a_row_for_each_completed_unit(door: Door) -> None:
    ada, bob = a_customer(door), a_customer(door, "bob@example.com")
    job = ada.job()
    units = [complete(door, ada, job["id"], index=at, amount=at + 2, name=name) for at, name in enumerate(["=2+3", "train"])]
    answer = ada.get("/usage/export.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="usage-2025-12-03-to-2026-01-01.csv"'
    same = {"date": "2026-01-01", "time": "00:00:00", "job_id": job["id"]}
    assert rows(answer) == [
        {**same, "unit_id": units[0], "unit_name": "'=2+3", "credits": "2"},
        {**same, "unit_id": units[1], "unit_name": "train", "credits": "3"},
    ]
    assert rows(ada.get("/usage/export.csv?date_from=2025-12-01&date_to=2025-12-31")) == []
    assert rows(bob.get("/usage/export.csv")) == []


def test_the_statement_leads_from_opening_to_closing_balance(door: Door) -> None:
    ada = a_customer(door)
    door.ports.clock.advance(31 * DAY)
    job = ada.job()
    held = job["quote"]["credits"]
    door.ports.clock.advance(60)
    complete(door, ada, job["id"], amount=3)
    answer = ada.get("/credits/statement.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="statement-2026-02.csv"'
    told = [
        (row["date"], row["kind"], row["amount"], int(row["available"]), int(row["held"]), int(row["spent"]))
        for row in rows(answer)
    ]
    assert told == [
        ("2026-02-01", "opening_balance", "", 1000, 0, 0),
        ("2026-02-01", "hold", str(held), 1000 - held, held, 0),
        ("2026-02-01", "debit", "3", 1000 - held, held - 3, 3),
        ("2026-02-01", "closing_balance", "", 1000 - held, held - 3, 3),
    ]
    january = [(row["date"], row["kind"], row["available"]) for row in rows(ada.get("/credits/statement.csv?month=2026-01"))]
    assert january == [
        ("2026-01-01", "opening_balance", "0"),
        ("2026-01-01", "grant", "1000"),
        ("2026-01-31", "closing_balance", "1000"),
    ]


@pytest.mark.parametrize(
    ("path", "code", "field"),
    [
        ("/usage/daily?days=0", "VALIDATION_FAILED", "days"),
        ("/usage/daily?days=91", "VALIDATION_FAILED", "days"),
        ("/usage/daily?days=ten", "VALIDATION_FAILED", "days"),
        ("/usage/export.csv?date_from=2026-01-02&date_to=2026-01-01", "VALIDATION_FAILED", "date_from"),
        ("/usage/export.csv?date_from=2025-10-01&date_to=2025-12-31", "EXPORT_RANGE_TOO_LARGE", "date_from"),
        ("/usage/export.csv?date_from=01.02.2026", "VALIDATION_FAILED", "date_from"),
        ("/usage/export.csv?date_from=20260101", "VALIDATION_FAILED", "date_from"),
        ("/usage/export.csv?date_to=9999-12-31", "VALIDATION_FAILED", "date_to"),
        ("/usage/export.csv?date_to=2025-02-29", "VALIDATION_FAILED", "date_to"),
        ("/credits/statement.csv?month=2026-13", "VALIDATION_FAILED", "month"),
        ("/credits/statement.csv?month=2026-02", "VALIDATION_FAILED", "month"),
        ("/credits/statement.csv?month=2026", "VALIDATION_FAILED", "month"),
    ],
)
def test_what_was_asked_for_wrongly_is_named(door: Door, path: str, code: str, field: str) -> None:
    answer = door.customer().get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert answer.json()["error"]["details"]["field"] == field


@pytest.mark.parametrize("path", ["/usage/export.csv", "/credits/statement.csv"])
def test_a_large_file_is_elsewhere_for_a_while(door: Door, path: str) -> None:
    ada = a_customer(door)
    complete(door, ada, ada.job()["id"])
    small = ada.get(path)
    parts = {"credits": door.core.credits, "objects": door.ports.objects, "clock": door.ports.clock}
    door.core = replace(door.core, usage=Usage(**parts, inline_bytes=len(small.content)))
    assert ada.get(path).content == small.content
    door.core = replace(door.core, usage=Usage(**parts, inline_bytes=len(small.content) - 1))
    large = ada.get(path)
    where = large.headers["location"]
    assert (large.status_code, large.content) == (303, b"")
    assert where.startswith(f"memory://exports/{ada.id}/")
    assert "expires=900" in where
    assert door.ports.objects.download(where) == small.content
    head = door.ports.objects.head(where.removeprefix("memory://").partition("?")[0])
    assert head is not None
    assert head.content_type == "text/csv; charset=utf-8"
