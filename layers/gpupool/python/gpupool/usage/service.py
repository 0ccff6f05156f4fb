"""What a customer used: summed up, day by day, and as files."""

from datetime import date

from gpupool.clock import Clock
from gpupool.ids import new_id
from gpupool.ledger.service import Credits
from gpupool.objects.store import URL_SECONDS, ObjectStore
from gpupool.usage import csv
from gpupool.usage.decide import daily, last_days, month_asked_for, month_of, span_asked_for, statement, totals
from gpupool.usage.model import DEFAULT_DAYS, CsvFile, Daily, Period, Summary

# A function answers 6 MB at most; the rest is room for what JSON adds to a quote or a letter beyond ASCII.
INLINE_BYTES = 4_000_000
CSV_TYPE = "text/csv; charset=utf-8"


class Usage:
    """``inline_bytes``: a larger file goes to the bucket, from where it vanishes after a day."""

    def __init__(self, *, credits: Credits, objects: ObjectStore, clock: Clock, inline_bytes: int = INLINE_BYTES) -> None:
        self._credits = credits
        self._objects = objects
        self._clock = clock
        self._inline_bytes = inline_bytes

    def summary(self, customer_id: str) -> Summary:
        """The accounts, and what was used this month and in the last 30 days, all as of one moment."""
        now = self._clock.now()
        month, recent = month_of(now.date()), last_days(DEFAULT_DAYS, today=now.date())
        books = self._credits.since(customer_id, min(month.start, recent.start))
        this_month, last_30_days = (
            Period(span.first, totals(found for found in books.transfers if found.created_at >= span.start))
            for span in (month, recent)
        )
        return Summary(books.balance, now, this_month, last_30_days)

    def daily(self, customer_id: str, *, days: int) -> Daily:
        """The last ``days`` days, today included."""
        span = last_days(days, today=self._today())
        return daily(self._credits.between(customer_id, start=span.start, end=span.end), span)

    def export(self, customer_id: str, *, date_from: str | None, date_to: str | None) -> CsvFile:
        """Every completed unit of some days; VALIDATION_FAILED or EXPORT_RANGE_TOO_LARGE for days that make no such span."""
        span = span_asked_for(date_from, date_to, today=self._today())
        found = self._credits.between(customer_id, start=span.start, end=span.end)
        return self._file(customer_id, f"usage-{span.first}-to-{span.last}.csv", csv.export(found))

    def statement(self, customer_id: str, *, month: str | None) -> CsvFile:
        """The entries of a month between its opening and its closing balance."""
        today = self._today()
        span = month_asked_for(month, today=today)
        found = statement(self._credits.since(customer_id, span.start), span)
        return self._file(customer_id, f"statement-{span.first:%Y-%m}.csv", csv.statement(found, today=today))

    def _today(self) -> date:
        return self._clock.now().date()

    def _file(self, customer_id: str, filename: str, body: bytes) -> CsvFile:
        if len(body) <= self._inline_bytes:
            return CsvFile(filename, body, None)
        key = f"exports/{customer_id}/{new_id()}.csv"
        self._objects.put(key, body, content_type=CSV_TYPE)
        return CsvFile(filename, None, self._objects.presign_get(key, filename=filename, expires_seconds=URL_SECONDS))
