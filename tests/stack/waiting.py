"""Waits that poll a condition and end at a deadline."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")

# A machine that does other things besides may be slow; a right answer ends every wait at once.
PATIENCE_SECONDS = 120.0
_POLL_SECONDS = 0.1


def eventually(look: Callable[[], T], *, what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """The first truthy answer of ``look``; the test fails with ``what`` when there was none in time."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:g} s in vain for {what}")
        pause.wait(_POLL_SECONDS)
