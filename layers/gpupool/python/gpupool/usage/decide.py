"""From entries to days, periods and statements, and from what was asked for to spans of days."""

import calendar
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import fields
from datetime import date, timedelta

from gpupool.errors import ValidationFailed
from gpupool.ledger.decide import before, walk_back
from gpupool.ledger.model import Books, EntryKind, Transfer
from gpupool.usage.model import DEFAULT_DAYS, MAX_DAYS, Daily, Day, Span, Statement, Totals

_COUNTED = {
    EntryKind.GRANT: ("credits_granted", None),
    EntryKind.HOLD: ("credits_held", "jobs_submitted"),
    EntryKind.DEBIT: ("credits_spent", "units_completed"),
    EntryKind.RELEASE: ("credits_released", None),
}


def totals(transfers: Iterable[Transfer]) -> Totals:
    """A hold stands for the job it was made for, a debit for the unit it paid."""
    sums: dict[str, int] = defaultdict(int)
    for transfer in transfers:
        amount, count = _COUNTED[transfer.kind]
        sums[amount] += transfer.amount
        if count is not None:
            sums[count] += 1
    return Totals(**sums)


def together(parts: Iterable[Totals]) -> Totals:
    """The sum of sums."""
    listed = list(parts)
    return Totals(**{field.name: sum(getattr(part, field.name) for part in listed) for field in fields(Totals)})


def daily(transfers: Iterable[Transfer], span: Span) -> Daily:
    """The transfers of ``span`` by the day of their entry."""
    by_day: dict[date, list[Transfer]] = defaultdict(list)
    for transfer in transfers:
        by_day[transfer.created_at.date()].append(transfer)
    days = tuple(Day(day, totals(by_day[day])) for day in span.days)
    return Daily(days, together(day.totals for day in days))


def statement(books: Books, span: Span) -> Statement:
    """The statement of ``span`` from the books since its beginning."""
    inside = [transfer for transfer in books.transfers if transfer.created_at < span.end]
    closing = before(books.balance, books.transfers[len(inside) :])
    lines, opening = walk_back(closing, reversed(inside))
    return Statement(span, opening, lines[::-1], closing)


def last_days(count: int, *, today: date) -> Span:
    """``count`` days, the last of which is today."""
    return Span(today - timedelta(days=count - 1), today)


def month_of(day: date) -> Span:
    return Span(day.replace(day=1), day.replace(day=calendar.monthrange(day.year, day.month)[1]))


def month_asked_for(month: str | None, *, today: date) -> Span:
    """The month ``YYYY-MM``, the current one without it; one that has not begun is refused."""
    span = month_of(today if month is None else _date(f"{month}-01", field="month"))
    if span.first > today:
        raise ValidationFailed("This month has not begun; ask for an earlier one.", field="month")
    return span


def span_asked_for(date_from: str | None, date_to: str | None, *, today: date) -> Span:
    """The days from one ISO date to another: to today without ``date_to``, 30 days without ``date_from``.

    EXPORT_RANGE_TOO_LARGE above 90 days.
    """
    last = today if date_to is None else _date(date_to, field="date_to")
    first = last - timedelta(days=DEFAULT_DAYS - 1) if date_from is None else _date(date_from, field="date_from")
    if first > last:
        raise ValidationFailed("date_from is after date_to; date_to is today unless it is named.", field="date_from")
    span = Span(first, last)
    if span.length > MAX_DAYS:
        raise ValidationFailed(
            f"The export would cover {span.length} days and may cover {MAX_DAYS}; ask for several.",
            code="EXPORT_RANGE_TOO_LARGE",
            field="date_from",
            details={"max_days": MAX_DAYS},
        )
    return span


def _date(text: str, *, field: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValidationFailed("There is no such day; write it as YYYY-MM-DD.", field=field) from error
