"""Webhooks and their deliveries."""

from functions.customer_api.reference.base import AT, JOB_ID, LATER, Note, Notes, full, listed

TAGS = {
    "webhooks": "Be told what happens: signed requests to your receiver, tried for three days, each attempt in a log.",
}

_ID = "019aa5f2-40d1-7aa3-8f6e-1c2b3d4e5f04"
_SENT = {
    "url": "https://receiver.example.com/gpu-agent",
    "events": ["artifact.ready", "job.completed", "job.failed"],
    "description": "the lab's receiver",
}
_WEBHOOK = {
    "id": _ID,
    **_SENT,
    "status": "enabled",
    "disabled_reason": None,
    "created_at": AT,
    "updated_at": AT,
    "previous_secret_expires_at": None,
}
_DELIVERY = {
    "id": "msg_5f2c8d1e9a7b4c3d6e8f0a1b2c3d4e5f",
    "webhook_id": _ID,
    "event_id": f"{JOB_ID}#job.completed",
    "event_type": "job.completed",
    "sequence": 8,
    "status": "delivered",
    "round": 1,
    "attempts": [
        {"number": 1, "at": AT, "duration_ms": 212, "status_code": 503, "error": None},
        {"number": 2, "at": LATER, "duration_ms": 148, "status_code": 200, "error": None},
    ],
    "created_at": AT,
    "next_attempt_at": None,
    "delivered_at": LATER,
    "error": None,
}
_PENDING = {
    **_DELIVERY,
    "delivery_id": _DELIVERY["id"],
    "event_id": "webhook.test#019aa5f3",
    "event_type": "webhook.test",
    "status": "pending",
    "attempts": [],
    "next_attempt_at": AT,
    "delivered_at": None,
}
_BODY = (
    f'{{"type":"job.completed","id":"{JOB_ID}#job.completed","timestamp":"{AT}","sequence":8,"data":{{"job_id":"{JOB_ID}"}}}}'
)

NOTES: Notes = {
    "createWebhook": Note(
        sends=_SENT,
        answers={**_WEBHOOK, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
        refuses=("WEBHOOK_INVALID_URL", "WEBHOOK_LIMIT_REACHED"),
    ),
    "listWebhooks": Note(answers=full(_WEBHOOK)),
    "getWebhook": Note(answers=_WEBHOOK),
    "updateWebhook": Note(
        sends={"enabled": False},
        answers={**_WEBHOOK, "status": "disabled", "disabled_reason": "You disabled it.", "updated_at": LATER},
        refuses=("WEBHOOK_INVALID_URL", "TRY_AGAIN"),
    ),
    "deleteWebhook": Note(),
    "rotateWebhookSecret": Note(
        answers={
            **_WEBHOOK,
            "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "updated_at": LATER,
            "previous_secret_expires_at": "2026-11-23T14:57:03.096Z",
        },
        refuses=("TRY_AGAIN",),
    ),
    "testWebhook": Note(answers=_PENDING, refuses=("WEBHOOK_DISABLED",)),
    "listDeliveries": Note(answers=listed(_DELIVERY)),
    "getDelivery": Note(answers={**_DELIVERY, "body": _BODY}),
    "replayDelivery": Note(answers={**_PENDING, "round": 2}, refuses=("WEBHOOK_DISABLED", "DELIVERY_PENDING")),
}
