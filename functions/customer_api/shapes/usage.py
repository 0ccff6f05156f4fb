"""Credits and what they were spent on."""

from datetime import date

from pydantic import AwareDatetime, Field

from functions.customer_api.shapes.base import Answers, Count, Listing, Shape
from gpupool.ledger.model import EntryKind


class Balance(Shape):
    available: Count
    held: Count
    spent: Count
    granted: Count


class UsagePeriod(Shape):
    since: date = Field(description="first day, from its beginning in UTC")
    credits_spent: Count
    units_completed: Count
    jobs_submitted: Count


class UsageSummary(Shape):
    credits: Balance
    this_month: UsagePeriod
    last_30_days: UsagePeriod
    as_of: AwareDatetime


class UsageTotals(Shape):
    credits_spent: Count
    units_completed: Count
    credits_held: Count
    credits_released: Count
    credits_granted: Count


class UsageDay(UsageTotals):
    date: date


class DailyUsage(Shape):
    data: list[UsageDay]
    totals: UsageTotals


class LedgerEntry(Shape):
    id: str
    kind: EntryKind
    amount: Count
    balance_after: int = Field(description="available credits after this entry")
    held_after: int
    spent_after: int
    job_id: str | None
    unit_id: str | None
    note: str
    created_at: AwareDatetime


class LedgerEntries(Listing[LedgerEntry]):
    pass


# The files have no model: they are text/csv, or elsewhere (303) when they are large.
ANSWERS: Answers = {
    "getUsageSummary": (200, UsageSummary),
    "getDailyUsage": (200, DailyUsage),
    "exportUsage": (200, None),
    "listLedgerEntries": (200, LedgerEntries),
    "getStatement": (200, None),
}
