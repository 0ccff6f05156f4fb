"""Spans of days and what was used in them. Days are those of UTC, amounts are whole credits."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from gpupool.ledger.model import Balance, Line

DEFAULT_DAYS = 30
MAX_DAYS = 90


@dataclass(frozen=True, slots=True)
class Span:
    """Whole days from ``first`` to ``last``, both included."""

    first: date
    last: date

    @property
    def length(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def days(self) -> tuple[date, ...]:
        return tuple(self.first + timedelta(days=at) for at in range(self.length))

    @property
    def start(self) -> datetime:
        """The first moment inside."""
        return datetime.combine(self.first, time.min, UTC)

    @property
    def end(self) -> datetime:
        """The first moment behind."""
        return datetime.combine(self.last + timedelta(days=1), time.min, UTC)


@dataclass(frozen=True, slots=True)
class Totals:
    """What the entries of some time add up to. An entry counts when it was written, whenever its job began."""

    credits_spent: int = 0
    units_completed: int = 0
    credits_held: int = 0
    credits_released: int = 0
    credits_granted: int = 0
    jobs_submitted: int = 0


@dataclass(frozen=True, slots=True)
class Day:
    date: date
    totals: Totals


@dataclass(frozen=True, slots=True)
class Daily:
    """Every day of a span, also those without entries, oldest first, and all of them together."""

    days: tuple[Day, ...]
    totals: Totals


@dataclass(frozen=True, slots=True)
class Period:
    """What was used from the beginning of the day ``since`` until now."""

    since: date
    totals: Totals


@dataclass(frozen=True, slots=True)
class Summary:
    balance: Balance
    as_of: datetime
    this_month: Period
    last_30_days: Period


@dataclass(frozen=True, slots=True)
class Statement:
    """The accounts before a span, its entries with the accounts as each left them, oldest first, and the accounts after it."""

    span: Span
    opening: Balance
    lines: tuple[Line, ...]
    closing: Balance


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A file to download: its bytes, or, when it is too large to be answered, a URL that serves them for a while."""

    filename: str
    body: bytes | None
    url: str | None
