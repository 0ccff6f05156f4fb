"""Calls of people and machines at the doors: answered, refused for a reason that may come up, or failed on our side."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench.simulate.faults import Faults
from bench.simulate.loop import Loop
from bench.simulate.violations import Violation
from gpupool.errors import CoreError

# What a client may be told without anything being wrong with us.
EXPECTED = frozenset(
    {
        *("LEASE_LOST", "UNIT_GONE", "UNIT_LEASED", "UNIT_NOT_SUITABLE", "OUTPUT_MISSING", "VALIDATION_FAILED"),
        *("CREDIT_INSUFFICIENT", "RATE_LIMITED", "DAILY_TASK_LIMIT_EXCEEDED", "TRY_AGAIN"),
        *("IDEMPOTENCY_CONFLICT", "JOB_NOT_CANCELLABLE", "NODE_REVOKED"),
    }
)


@dataclass(frozen=True, slots=True)
class Answer:
    """``value`` of a call that went well, ``refused`` with a code, or ``failed``: an error of ours, or no answer at all."""

    value: Any = None
    refused: str | None = None
    failed: bool = False


class Calls:
    def __init__(self, loop: Loop, faults: Faults) -> None:
        self._loop, self._faults = loop, faults

    def make(self, act: Callable[[], Any]) -> Answer:
        done, answer = self._faults.run(partial(self._or_refusal, act))
        return answer if done else Answer(failed=True)

    def _or_refusal(self, act: Callable[[], Any]) -> Answer:
        try:
            return Answer(act())
        except CoreError as refusal:
            if refusal.code not in EXPECTED:
                raise Violation("refusals have a reason", f"{refusal.code}: {refusal}") from refusal
            self._loop.note("  refused", refusal.code)
            return Answer(refused=refusal.code)
