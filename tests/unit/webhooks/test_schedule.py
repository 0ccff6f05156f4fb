"""The retry schedule, to the second."""

from datetime import datetime, timedelta

import pytest

from gpupool.events.model import EventType
from gpupool.webhooks.decide import DELAYS, MAX_ATTEMPTS, Verdict, after_attempt, claimed
from gpupool.webhooks.model import Delivery, DeliveryStatus
from gpupool.webhooks.sender import Outcome, SendError
from tests.factories import NOW

PENDING = Delivery("msg", "hook", "ada", "event", EventType.JOB_COMPLETED, 1, "{}", NOW, due_at=NOW)


def attempted(delivery: Delivery, outcome: Outcome, *, now: datetime, jitter: float) -> Verdict:
    return after_attempt(claimed(delivery, now=now), outcome, now=now, jitter=jitter)


def test_ten_attempts_are_spread_over_three_days_and_a_bit() -> None:
    assert MAX_ATTEMPTS == 10
    assert sum(DELAYS, timedelta()) == timedelta(hours=75, minutes=35, seconds=5)


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_jitter_only_ever_delays_and_by_a_tenth_at_most(jitter: float) -> None:
    delivery = PENDING
    for delay in DELAYS:
        verdict = attempted(delivery, Outcome(1, status_code=500), now=NOW, jitter=jitter)
        assert verdict.delivery.due_at == NOW + delay * (1 + jitter / 10)
        delivery = verdict.delivery
    last = attempted(delivery, Outcome(1, error=SendError.TIMED_OUT), now=NOW, jitter=jitter)
    assert (last.delivery.status, last.delivery.due_at) == (DeliveryStatus.FAILED, None)


def test_an_attempt_that_nobody_reports_is_followed_like_one_that_failed_after_a_minute_at_the_earliest() -> None:
    waits, delivery = [], PENDING
    for _ in range(MAX_ATTEMPTS):
        delivery = claimed(delivery, now=NOW)
        assert delivery.due_at is not None
        waits.append(delivery.due_at - NOW)
    assert waits == [max(delay, timedelta(minutes=1)) for delay in DELAYS] + [timedelta(minutes=1)]
    assert delivery.attempts_made == MAX_ATTEMPTS


@pytest.mark.parametrize(
    ("status", "asked", "waits"),
    [(429, 120, 120), (503, 3_600, 3_600), (429, 1, 5), (500, 3_600, 5), (429, 10**6, 86_400), (429, None, 5)],
)
def test_a_receiver_that_is_throttled_is_asked_when_it_says(status: int, asked: int | None, waits: int) -> None:
    verdict = attempted(PENDING, Outcome(1, status_code=status, retry_after_seconds=asked), now=NOW, jitter=0.0)
    assert verdict.delivery.due_at == NOW + timedelta(seconds=waits)


@pytest.mark.parametrize(
    ("outcome", "ends"),
    [
        (Outcome(1, status_code=200), DeliveryStatus.DELIVERED),
        (Outcome(1, status_code=299), DeliveryStatus.DELIVERED),
        (Outcome(1, status_code=302, error=SendError.REDIRECTED), DeliveryStatus.PENDING),
        (Outcome(1, status_code=404), DeliveryStatus.PENDING),
        (Outcome(1, status_code=410), DeliveryStatus.FAILED),
        (Outcome(1, error=SendError.ADDRESS_REFUSED), DeliveryStatus.PENDING),
    ],
)
def test_what_counts_as_delivered(outcome: Outcome, ends: DeliveryStatus) -> None:
    verdict = attempted(PENDING, outcome, now=NOW, jitter=0.0)
    assert (verdict.delivery.status, verdict.disable) == (ends, outcome.status_code == 410)
    assert len(verdict.delivery.attempts) == 1
