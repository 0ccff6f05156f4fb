"""Events and logs of a training job."""

from functions.customer_api.reference.base import AT, JOB_ID, UNIT_ID, Note, Notes, listed

TAGS: dict[str, str] = {}

_EVENT = {
    "id": f"{UNIT_ID}.00003",
    "type": "unit.completed",
    "at": AT,
    "job_id": JOB_ID,
    "unit_id": UNIT_ID,
    "message": "train completed on attempt 1 and cost 1 credits.",
    "data": {"unit_id": UNIT_ID, "unit_name": "train", "attempt": 1, "credits": 1},
}
_LOG = {
    "job_id": JOB_ID,
    "unit_id": UNIT_ID,
    "attempt": 1,
    "offset": 0,
    "next_offset": 44,
    "size_bytes": 44,
    "ended": False,
    "missing": [],
    "text": '{"epoch": 20, "epochs": 50, "loss": 0.0911}\n',
}

NOTES: Notes = {
    "listJobEvents": Note(answers=listed(_EVENT)),
    "readJobLog": Note(answers=_LOG, refuses=("UNIT_NOT_FOUND", "STORAGE_UNAVAILABLE")),
}
