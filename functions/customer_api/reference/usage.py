"""Credits and what they were spent on."""

from functions.customer_api.reference.base import AT, CSV, JOB_ID, UNIT_ID, Note, Notes, listed

TAGS = {"usage": "Credits granted, held and spent, and every entry that led there."}

_DEBIT = {
    "id": f"debit#{UNIT_ID}",
    "kind": "debit",
    "amount": 1,
    "job_id": JOB_ID,
    "unit_id": UNIT_ID,
    "note": "train",
    "balance_after": 985,
    "held_after": 11,
    "spent_after": 1,
    "created_at": AT,
}

_TOTALS = {"credits_spent": 3, "units_completed": 3, "credits_held": 12, "credits_released": 9, "credits_granted": 1000}
_PERIOD = {"credits_spent": 3, "units_completed": 3, "jobs_submitted": 1}
_ELSEWHERE = {303: "The file is too large for an answer: it is at Location for 15 minutes."}
_FILE = {"Content-Disposition": "The file's name."}
_EXPORT = f"date,time,job_id,unit_id,unit_name,credits\r\n2026-11-22,02:57:03,{JOB_ID},{UNIT_ID},train,1\r\n"
_STATEMENT = (
    "date,time,entry_id,kind,job_id,unit_id,note,amount,available,held,spent\r\n"
    "2026-11-01,,,opening_balance,,,,,997,0,0\r\n"
    f"2026-11-22,02:57:03,debit#{UNIT_ID},debit,{JOB_ID},{UNIT_ID},train,1,985,11,1\r\n"
    "2026-11-22,,,closing_balance,,,,,985,11,1\r\n"
)

NOTES: Notes = {
    "getUsageSummary": Note(
        answers={
            "credits": {"available": 985, "held": 12, "spent": 3, "granted": 1000},
            "this_month": {"since": "2026-11-01", **_PERIOD},
            "last_30_days": {"since": "2026-10-24", **_PERIOD},
            "as_of": AT,
        }
    ),
    "getDailyUsage": Note(answers={"data": [{"date": "2026-11-22", **_TOTALS}], "totals": _TOTALS}),
    "exportUsage": Note(
        answers=_EXPORT,
        media=CSV,
        also=_ELSEWHERE,
        headers=_FILE,
        refuses=("EXPORT_RANGE_TOO_LARGE", "STORAGE_UNAVAILABLE", "SIGNED_URL_FAILED"),
    ),
    "getStatement": Note(
        answers=_STATEMENT, media=CSV, also=_ELSEWHERE, headers=_FILE, refuses=("STORAGE_UNAVAILABLE", "SIGNED_URL_FAILED")
    ),
    "listLedgerEntries": Note(answers=listed(_DEBIT)),
}
