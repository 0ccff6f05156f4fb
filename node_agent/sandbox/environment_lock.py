"""Who uses an environment right now: a shared file lock per user, which the kernel drops with the process."""

import contextlib
import fcntl
import threading
from collections.abc import Iterator
from pathlib import Path

_RETRY_SECONDS = 0.2


def mark_of(environment: Path) -> Path:
    """The lock file beside an environment; not inside, because units see the inside."""
    return environment.with_name(f"{environment.name}.lock")


@contextlib.contextmanager
def in_use(environment: Path | None) -> Iterator[None]:
    """Keeps ``environment`` from being evicted while the body runs. None: nothing to keep."""
    if environment is None or not mark_of(environment).exists():
        yield
        return
    with mark_of(environment).open("ab") as mark:
        fcntl.flock(mark, fcntl.LOCK_SH)
        yield


@contextlib.contextmanager
def alone(environment: Path, stop: threading.Event) -> Iterator[bool]:
    """Waits until nobody builds or uses ``environment``; yields False when ``stop`` was set first."""
    with mark_of(environment).open("ab") as mark:
        while not (got := _try_lock(mark.fileno())) and not stop.wait(_RETRY_SECONDS):
            pass
        yield got


@contextlib.contextmanager
def if_unused(environment: Path) -> Iterator[bool]:
    """Yields whether nobody builds or uses ``environment``; when so, nobody starts to during the body."""
    with mark_of(environment).open("ab") as mark:
        yield _try_lock(mark.fileno())


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
