"""Credits and what they were spent on."""

from functions.customer_api.reference.base import AT, JOB_ID, UNIT_ID, Note, Notes, listed

TAGS = {"usage": "Credits granted, held and spent, and every entry that led there."}

_DEBIT = {
    "id": f"debit#{UNIT_ID}",
    "kind": "debit",
    "amount": 1,
    "job_id": JOB_ID,
    "unit_id": UNIT_ID,
    "note": "",
    "created_at": AT,
}

NOTES: Notes = {
    "getUsageSummary": Note(answers={"credits": {"available": 985, "held": 12, "spent": 3, "granted": 1000}, "as_of": AT}),
    "listLedgerEntries": Note(answers=listed(_DEBIT)),
}
