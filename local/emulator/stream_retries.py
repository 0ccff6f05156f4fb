"""What happens to a batch of stream records after its function answered: a pure decision."""

from dataclasses import dataclass
from typing import Any

FOREVER = -1


@dataclass(frozen=True)
class RetryPolicy:
    """The settings of one event source mapping; `FOREVER` means no bound."""

    max_retries: int = FOREVER
    max_age_seconds: int = FOREVER
    bisect: bool = False
    partial: bool = False

    @classmethod
    def of(cls, mapping: dict[str, Any]) -> "RetryPolicy":
        """Read the policy from a mapping's record, with the documented defaults."""
        return cls(
            max_retries=int(mapping.get("MaximumRetryAttempts", FOREVER)),
            max_age_seconds=int(mapping.get("MaximumRecordAgeInSeconds", FOREVER)),
            bisect=str(mapping.get("BisectBatchOnFunctionError", False)).lower() == "true",
            partial="ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or []),
        )


@dataclass(frozen=True)
class Progress:
    """Where a mapping stands at its stream position: failures of the head so far, and how many records to try next."""

    failures: int = 0
    limit: int | None = None


@dataclass(frozen=True)
class Verdict:
    """`done` records are behind the mapping; `discard` names why the rest of the batch is given up, if it is."""

    done: int
    progress: Progress
    discard: str | None = None
    wait: bool = False


def first_failure(*, body: Any, sequence_numbers: list[str]) -> int | None:
    """Index of the first record a partial batch response reports; None for success.

    As documented, an empty list is success, and an identifier that names no record fails the whole batch.
    """
    failures = (body or {}).get("batchItemFailures") if isinstance(body, dict | None) else None
    if not failures:
        return None
    reported = [str(failure.get("itemIdentifier", "")) for failure in failures]
    if any(number not in sequence_numbers for number in reported):
        return 0
    return min(sequence_numbers.index(number) for number in reported)


def judge(*, policy: RetryPolicy, progress: Progress, size: int, failed_at: int | None, oldest_age_seconds: float) -> Verdict:
    """Decide after one invocation with `size` records, of which number `failed_at` (None: no one) failed first.

    Records before the failure are done. The failing head is retried: in halves first when the mapping bisects, which
    uses up no retry, then until its retries or its age are exhausted, when it is discarded.
    """
    if failed_at is None:
        return Verdict(done=size, progress=Progress())
    left = size - failed_at
    if policy.bisect and left > 1:
        return Verdict(done=failed_at, progress=Progress(limit=left // 2))
    failures = 1 if failed_at > 0 else progress.failures + 1
    if policy.max_age_seconds != FOREVER and oldest_age_seconds > policy.max_age_seconds:
        return Verdict(done=size, progress=Progress(), discard="RecordAgeExceeded")
    if policy.max_retries != FOREVER and failures > policy.max_retries:
        return Verdict(done=size, progress=Progress(), discard="RetryAttemptsExhausted")
    return Verdict(done=failed_at, progress=Progress(failures=failures, limit=progress.limit), wait=failed_at == 0)
