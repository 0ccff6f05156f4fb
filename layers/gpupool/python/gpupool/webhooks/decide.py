"""What an attempt means for its delivery. Pure; the jitter is given, so that the schedule can be tested to the second."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gpupool.webhooks.model import Attempt, Delivery, DeliveryStatus, Endpoint
from gpupool.webhooks.sender import Outcome

# After the first, the second, ... attempt that failed: ten attempts over 75.6 hours, as Standard Webhooks proposes.
DELAYS = tuple(timedelta(seconds=seconds) for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400))
MAX_ATTEMPTS = len(DELAYS) + 1
# At most so much later than planned: a receiver that comes back is not met by everything at once.
JITTER = 0.1
_LONGEST_WISH = timedelta(hours=24)
_KEPT_ATTEMPTS = 30
_GONE = 410
_THROTTLES = frozenset({429, 502, 503, 504})
# Longer than a request may take: whoever claimed an attempt and died is followed after this.
IN_FLIGHT = timedelta(seconds=60)
ROTATION_OVERLAP = timedelta(hours=24)
GONE = "The endpoint answered 410 Gone and was disabled; enable it and replay this delivery."
EXHAUSTED = f"All {MAX_ATTEMPTS} attempts over three days failed; replay this delivery when the endpoint works again."
INTERRUPTED = "The last attempt never ended, which is our fault; replay this delivery."
DISABLED = "The endpoint was disabled before this was delivered; enable it and replay this delivery."
REMOVED = "The endpoint was deleted before this was delivered."


@dataclass(frozen=True, slots=True)
class Verdict:
    """``disable``: the endpoint said that it is gone for good."""

    delivery: Delivery
    disable: bool = False


def claimed(delivery: Delivery, *, now: datetime) -> Delivery:
    """The delivery while somebody makes its next attempt, which counts from here.

    Should nobody tell how it ended, the one after it comes when it would after a failure, a minute later at the earliest. A
    delivery that kills whoever attempts it therefore ends like any other.
    """
    follows = DELAYS[delivery.attempts_made] if delivery.attempts_made < len(DELAYS) else IN_FLIGHT
    return replace(delivery, attempts_made=delivery.attempts_made + 1, due_at=now + max(IN_FLIGHT, follows))


def is_used_up(delivery: Delivery) -> bool:
    """Whether the schedule has no attempt left; of a pending delivery, nobody told then how its last one ended."""
    return delivery.attempts_made >= MAX_ATTEMPTS


def hopeless(delivery: Delivery, endpoint: Endpoint | None) -> str | None:
    """Why no request is to be made any more; None when one is."""
    if endpoint is None:
        return REMOVED
    if endpoint.disabled_at is not None:
        return DISABLED
    return INTERRUPTED if is_used_up(delivery) else None


def after_attempt(delivery: Delivery, outcome: Outcome, *, now: datetime, jitter: float) -> Verdict:
    """The delivery after the attempt that it was claimed for; ``jitter`` is 0 to 1."""
    made = delivery.attempts_made
    attempt = Attempt(
        number=made, at=now, duration_ms=outcome.duration_ms, status_code=outcome.status_code, error=outcome.error
    )
    noted = replace(delivery, attempts=(*delivery.attempts, attempt)[-_KEPT_ATTEMPTS:])
    if outcome.delivered:
        return Verdict(replace(noted, status=DeliveryStatus.DELIVERED, delivered_at=now, due_at=None, reason=None))
    if outcome.status_code == _GONE:
        return Verdict(failed(noted, GONE), disable=True)
    if is_used_up(noted):
        return Verdict(failed(noted, EXHAUSTED))
    return Verdict(replace(noted, due_at=now + _delay(made, outcome, jitter)))


def failed(delivery: Delivery, reason: str) -> Delivery:
    """The delivery, given up; a replay takes it up again."""
    return replace(delivery, status=DeliveryStatus.FAILED, due_at=None, reason=reason)


def replayed(delivery: Delivery, *, now: datetime) -> Delivery:
    """The delivery at the start of another run of the schedule."""
    return replace(delivery, status=DeliveryStatus.PENDING, round=delivery.round + 1, attempts_made=0, due_at=now, reason=None)


def rotated(endpoint: Endpoint, secret: str, *, rotation_id: str, now: datetime) -> Endpoint:
    """The endpoint with a new secret; the one before signs along for a day."""
    return replace(
        endpoint,
        secret=secret,
        previous_secret=endpoint.secret,
        previous_secret_expires_at=now + ROTATION_OVERLAP,
        rotation_id=rotation_id,
        updated_at=now,
    )


def disabled(endpoint: Endpoint, reason: str, *, now: datetime) -> Endpoint:
    return replace(endpoint, disabled_at=endpoint.disabled_at or now, disabled_reason=reason, updated_at=now)


def _delay(made: int, outcome: Outcome, jitter: float) -> timedelta:
    planned = DELAYS[made - 1] * (1 + JITTER * jitter)
    if outcome.status_code in _THROTTLES and outcome.retry_after_seconds is not None:
        return max(planned, min(timedelta(seconds=outcome.retry_after_seconds), _LONGEST_WISH))
    return planned
