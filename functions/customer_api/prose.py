"""What the reference says in words, as Markdown."""

from functions.customer_api.reference.errors import CODES

_INTRODUCTION = """\
Upload a dataset and a training package, submit a training job, follow its units, and download the model.

**Credentials.** Send an API key as `X-API-Key`, or the session token of a sign-in as a bearer token. What belongs to somebody
else is not there: its id answers 404 like an id that never existed.

**Lists** answer `{data, page}`, newest first. `limit` is at most 100; `cursor` takes `page.next_cursor` of the page before and
is good for 24 hours.

**Repeats.** Requests that create take an `Idempotency-Key`: the same key and body within 24 hours answer with what was created
first, and with the header `Idempotent-Replayed: true`.

**Limits.** Answers tell `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset`; a 429 tells `Retry-After`. Both
times are in seconds.

**Answers may grow.** New fields, new codes and new operations can appear within `v1-alpha`; ignore what you do not know."""

_ERRORS = """\
A refusal is `{"error": {"code", "message", "request_id", "details"}}`. Decide by `code`, show `message`, and keep
`request_id`: the operator finds the request by it. `details.field` points to what to correct: a JSON pointer into the body, or
the name of a parameter or header. A refusal leaves nothing behind: nothing is held, charged or written. A body without
`error` comes from the gateway in front (429 when all callers together are too fast, 5xx): try again later."""


def introduction() -> str:
    return _INTRODUCTION


def errors(*, level: int) -> str:
    """The chapter on errors, one section per code; ``level`` is that of its heading."""
    chapter, section = "#" * level, "#" * (level + 1)
    entries = [
        f"{section} {code}\n\n**HTTP {refusal.status}.** {refusal.cause}\n\n**What to do.** {refusal.remedy}"
        for code, refusal in sorted(CODES.items(), key=lambda entry: (entry[1].status, entry[0]))
    ]
    return "\n\n".join([f"{chapter} Errors", _ERRORS, *entries])
