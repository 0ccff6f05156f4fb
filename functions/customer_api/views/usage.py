"""How credits and their use look to their owner."""

from functions.customer_api.answers import View, moment
from gpupool.ledger.model import Balance, Line
from gpupool.usage.model import Daily, Day, Period, Summary, Totals


def balance(row: Balance) -> View:
    return {"available": row.available, "held": row.held, "spent": row.spent, "granted": row.granted}


def line(row: Line) -> View:
    entry = row.transfer
    return {
        "id": entry.id,
        "kind": entry.kind,
        "amount": entry.amount,
        "balance_after": row.after.available,
        "held_after": row.after.held,
        "spent_after": row.after.spent,
        "job_id": entry.job_id,
        "unit_id": entry.unit_id,
        "note": entry.note,
        "created_at": moment(entry.created_at),
    }


def summary(found: Summary) -> View:
    return {
        "credits": balance(found.balance),
        "this_month": _period(found.this_month),
        "last_30_days": _period(found.last_30_days),
        "as_of": moment(found.as_of),
    }


def daily(found: Daily) -> View:
    return {"data": [_day(day) for day in found.days], "totals": _totals(found.totals)}


def _period(found: Period) -> View:
    sums = found.totals
    return {
        "since": found.since.isoformat(),
        "credits_spent": sums.credits_spent,
        "units_completed": sums.units_completed,
        "jobs_submitted": sums.jobs_submitted,
    }


def _day(found: Day) -> View:
    return {"date": found.date.isoformat(), **_totals(found.totals)}


def _totals(found: Totals) -> View:
    return {
        "credits_spent": found.credits_spent,
        "units_completed": found.units_completed,
        "credits_held": found.credits_held,
        "credits_released": found.credits_released,
        "credits_granted": found.credits_granted,
    }
