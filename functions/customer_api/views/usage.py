"""How credits look to their owner."""

from functions.customer_api.answers import View, moment
from gpupool.ledger.model import Balance, Transfer


def balance(row: Balance) -> View:
    return {"available": row.available, "held": row.held, "spent": row.spent, "granted": row.granted}


def transfer(row: Transfer) -> View:
    return {
        "id": row.id,
        "kind": row.kind,
        "amount": row.amount,
        "job_id": row.job_id,
        "unit_id": row.unit_id,
        "note": row.note,
        "created_at": moment(row.created_at),
    }
