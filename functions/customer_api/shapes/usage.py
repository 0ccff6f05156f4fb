"""Credits and what they were spent on."""

from pydantic import AwareDatetime

from functions.customer_api.shapes.base import Answers, Count, Listing, Shape
from gpupool.ledger.model import EntryKind


class Balance(Shape):
    available: Count
    held: Count
    spent: Count
    granted: Count


class UsageSummary(Shape):
    credits: Balance
    as_of: AwareDatetime


class LedgerEntry(Shape):
    id: str
    kind: EntryKind
    amount: Count
    job_id: str | None
    unit_id: str | None
    note: str
    created_at: AwareDatetime


class LedgerEntries(Listing[LedgerEntry]):
    pass


ANSWERS: Answers = {
    "getUsageSummary": (200, UsageSummary),
    "listLedgerEntries": (200, LedgerEntries),
}
