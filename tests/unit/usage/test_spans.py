"""Which days were asked for."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpupool.errors import ValidationFailed
from gpupool.usage.decide import last_days, month_asked_for, month_of, span_asked_for
from gpupool.usage.model import MAX_DAYS, Span

TODAY = date(2026, 3, 15)
days = st.dates(date(2000, 1, 1), date(2999, 12, 31))


@pytest.mark.parametrize(
    ("date_from", "date_to", "expected"),
    [
        (None, None, Span(date(2026, 2, 14), TODAY)),
        ("2026-03-01", None, Span(date(2026, 3, 1), TODAY)),
        (None, "2026-01-31", Span(date(2026, 1, 2), date(2026, 1, 31))),
        ("2026-03-15", "2026-03-15", Span(TODAY, TODAY)),
        ("2025-12-16", "2026-03-15", Span(date(2025, 12, 16), TODAY)),
        ("2030-01-01", "2030-01-02", Span(date(2030, 1, 1), date(2030, 1, 2))),
    ],
)
def test_spans_have_both_ends_and_sensible_defaults(date_from: str | None, date_to: str | None, expected: Span) -> None:
    assert span_asked_for(date_from, date_to, today=TODAY) == expected


@pytest.mark.parametrize(
    ("date_from", "date_to", "code", "field"),
    [
        ("2026-03-15", "2026-03-14", "VALIDATION_FAILED", "date_from"),
        ("2026-03-16", None, "VALIDATION_FAILED", "date_from"),
        ("2026-02-30", None, "VALIDATION_FAILED", "date_from"),
        (None, "2026-02-30", "VALIDATION_FAILED", "date_to"),
        ("2025-12-15", "2026-03-15", "EXPORT_RANGE_TOO_LARGE", "date_from"),
        ("2000-01-01", "2999-12-31", "EXPORT_RANGE_TOO_LARGE", "date_from"),
    ],
)
def test_what_makes_no_span_is_refused(date_from: str | None, date_to: str | None, code: str, field: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        span_asked_for(date_from, date_to, today=TODAY)
    assert (refused.value.code, refused.value.details["field"]) == (code, field)


@given(days, st.integers(1, MAX_DAYS))
def test_a_span_has_all_its_days_and_every_moment_of_them(today: date, count: int) -> None:
    span = last_days(count, today=today)
    assert (len(span.days), span.length, span.days[-1]) == (count, count, today)
    assert span.end - span.start == timedelta(days=count)
    assert span.start == datetime.combine(span.first, datetime.min.time(), UTC)


@given(days)
def test_months_follow_each_other_without_gap(day: date) -> None:
    month = month_of(day)
    assert month.first <= day <= month.last
    assert {found.month for found in month.days} == {day.month}
    assert month_of(month.last + timedelta(days=1)).start == month.end


def test_a_month_is_the_current_one_unless_it_is_named() -> None:
    assert month_asked_for(None, today=TODAY) == Span(date(2026, 3, 1), date(2026, 3, 31))
    assert month_asked_for("2024-02", today=TODAY) == Span(date(2024, 2, 1), date(2024, 2, 29))


@pytest.mark.parametrize("month", ["2026-04", "2999-12"])
def test_a_month_that_has_not_begun_is_refused(month: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        month_asked_for(month, today=TODAY)
    assert refused.value.details["field"] == "month"
