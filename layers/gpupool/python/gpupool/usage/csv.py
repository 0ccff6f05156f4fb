"""Usage as CSV (RFC 4180). Text that a spreadsheet would take for a formula gets an apostrophe; numbers stay numbers."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from gpupool.ledger.model import Balance, EntryKind, Transfer
from gpupool.usage.model import Statement

EXPORT_HEADER = ("date", "time", "job_id", "unit_id", "unit_name", "credits")
STATEMENT_HEADER = (
    *("date", "time", "entry_id", "kind", "job_id", "unit_id", "note"),
    *("amount", "available", "held", "spent"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")

Cell = str | int | None
Row = Sequence[Cell]


def export(transfers: Iterable[Transfer]) -> bytes:
    """One row for each completed unit."""
    return _encoded(EXPORT_HEADER, (_debit(found) for found in transfers if found.kind is EntryKind.DEBIT))


def statement(found: Statement, *, today: date) -> bytes:
    """The opening balance, a row for each entry, and the closing balance, which of the current month is that of today."""
    return _encoded(STATEMENT_HEADER, _statement_rows(found, today))


def _debit(found: Transfer) -> Row:
    return (*_moment(found), found.job_id, found.unit_id, found.note, found.amount)


def _statement_rows(found: Statement, today: date) -> Iterator[Row]:
    yield _standing(found.span.first, "opening_balance", found.opening)
    for line in found.lines:
        entry = line.transfer
        facts = (entry.id, entry.kind, entry.job_id, entry.unit_id, entry.note, entry.amount)
        yield (*_moment(entry), *facts, *_accounts(line.after))
    yield _standing(min(found.span.last, today), "closing_balance", found.closing)


def _standing(day: date, name: str, balance: Balance) -> Row:
    return (day.isoformat(), None, None, name, None, None, None, None, *_accounts(balance))


def _accounts(balance: Balance) -> tuple[int, int, int]:
    return balance.available, balance.held, balance.spent


def _moment(entry: Transfer) -> tuple[str, str]:
    return f"{entry.created_at:%Y-%m-%d}", f"{entry.created_at:%H:%M:%S}"


def _encoded(header: Row, rows: Iterable[Row]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    # Text of strangers may hold lone surrogates, which UTF-8 has no form for.
    return text.getvalue().encode(errors="replace")


def _harmless(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
