"""The agent's one retry layer: full jitter, capped, and interruptible. HTTP clients below it never retry."""

import logging
import random
import threading
from collections.abc import Callable
from typing import TypeVar

from node_agent.agent_log import log_event
from node_agent.errors import AbandonedError, RecoverableError

logger = logging.getLogger(__name__)
Result = TypeVar("Result")
# Longer than a lease and its grace while out of reach; then the work is abandoned anyway.
_DOOR_ATTEMPTS = 100
_MOST_DOUBLINGS = 16  # keeps the power small however many weeks an outage lasts


class Backoff:
    """Waits in seconds, uniform between zero and a ceiling that doubles up to ``cap``."""

    def __init__(self, *, base: float = 0.5, cap: float = 30.0, chance: Callable[[], float] = random.random) -> None:
        self._base = base
        self._cap = cap
        self._chance = chance
        self._failures = 0

    def next(self, *, at_least: float | None = None) -> float:
        """The next wait; ``at_least`` is what the other side asked for, honoured up to the cap."""
        ceiling = min(self._cap, self._base * float(1 << min(self._failures, _MOST_DOUBLINGS)))
        self._failures += 1
        return max(ceiling * self._chance(), min(at_least or 0.0, self._cap))

    def reset(self) -> None:
        """Call after a success."""
        self._failures = 0


def retrying(
    call: Callable[[], Result], *, what: str, giving_up: threading.Event, attempts: int | None, backoff: Backoff
) -> Result:
    """Repeat ``call`` while it raises ``RecoverableError``.

    Raises the last error after ``attempts`` calls (None: no bound) and ``AbandonedError`` once ``giving_up`` is set. ``call``
    must be safe to repeat: a failed attempt may have reached the other side.
    """
    tried = 0
    while True:
        try:
            return call()
        except RecoverableError as error:
            tried += 1
            if attempts is not None and tried >= attempts:
                raise
            wait = backoff.next(at_least=error.retry_after)
            log_event(
                logger, "call.retry", level=logging.WARNING, what=what, tried=tried, wait=round(wait, 2), error=str(error)
            )
            if giving_up.wait(wait):
                raise AbandonedError(f"{what}: given up") from error


def asking_for_urls(call: Callable[[], Result], *, what: str, giving_up: threading.Event) -> Result:
    """Repeat a call that only asks the control plane for URLs, as long as a held lease can make sense.

    Raises like ``retrying``. Callers translate the last error: the transfer around them would take it for its own trouble and
    start the whole wait again.
    """
    return retrying(call, what=what, giving_up=giving_up, attempts=_DOOR_ATTEMPTS, backoff=Backoff(cap=10.0))
