"""The documented rules for a failed batch of stream records, one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.emulator.stream_retries import Progress, RetryPolicy, Verdict, first_failure, judge

NUMBERS = ["101", "102", "103"]


def _judge(policy: RetryPolicy, *, failed_at: int | None, size: int = 4, progress: Progress | None = None) -> Verdict:
    return judge(policy=policy, progress=progress or Progress(), size=size, failed_at=failed_at, oldest_age_seconds=10.0)


def test_success_moves_past_the_batch() -> None:
    assert _judge(RetryPolicy(), failed_at=None) == Verdict(done=4, progress=Progress())


def test_failure_without_settings_is_retried_for_ever() -> None:
    verdict = _judge(RetryPolicy(), failed_at=0, progress=Progress(failures=1000))

    assert verdict == Verdict(done=0, progress=Progress(failures=1001), wait=True)


def test_bisecting_halves_the_batch_without_using_up_a_retry() -> None:
    policy = RetryPolicy(bisect=True, max_retries=0)

    assert _judge(policy, failed_at=0) == Verdict(done=0, progress=Progress(limit=2))


def test_partial_failure_keeps_what_came_before() -> None:
    assert _judge(RetryPolicy(), failed_at=2) == Verdict(done=2, progress=Progress(failures=1))


def test_exhausted_retries_give_the_batch_up() -> None:
    policy = RetryPolicy(max_retries=2)

    assert _judge(policy, failed_at=0, progress=Progress(failures=1)).discard is None
    assert _judge(policy, failed_at=0, progress=Progress(failures=2)) == Verdict(
        done=4, progress=Progress(), discard="RetryAttemptsExhausted"
    )


def test_too_old_records_are_given_up() -> None:
    assert _judge(RetryPolicy(max_age_seconds=5), failed_at=0).discard == "RecordAgeExceeded"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (None, None),
        ({}, None),
        ({"batchItemFailures": []}, None),
        ({"batchItemFailures": None}, None),
        ({"batchItemFailures": [{"itemIdentifier": "103"}, {"itemIdentifier": "102"}]}, 1),
        ({"batchItemFailures": [{"itemIdentifier": ""}]}, 0),
        ({"batchItemFailures": [{"itemIdentifier": "102"}, {"itemIdentifier": "999"}]}, 0),
    ],
)
def test_first_failure_of_a_partial_response(body: object, expected: int | None) -> None:
    assert first_failure(body=body, sequence_numbers=NUMBERS) == expected


@given(poisoned=st.sets(st.integers(0, 30)), size=st.integers(1, 31), retries=st.integers(0, 3), partial=st.booleans())
def test_every_healthy_record_is_delivered_and_only_poisoned_ones_are_given_up(
    poisoned: set[int], size: int, retries: int, partial: bool
) -> None:
    policy = RetryPolicy(max_retries=retries, bisect=True, partial=partial)
    position, progress = 0, Progress()
    delivered: set[int] = set()
    given_up: set[int] = set()
    while position < size:
        batch = list(range(position, min(size, position + (progress.limit or 10))))
        bad = [record for record in batch if record in poisoned]
        failed_at = (batch.index(bad[0]) if partial else 0) if bad else None
        verdict = judge(policy=policy, progress=progress, size=len(batch), failed_at=failed_at, oldest_age_seconds=0.0)
        kept = batch[: failed_at if verdict.discard else verdict.done]
        delivered.update(kept)
        given_up.update(batch[len(kept) : verdict.done])
        position, progress = position + verdict.done, verdict.progress

    assert given_up == {record for record in poisoned if record < size}
    assert delivered | given_up == set(range(size))
