"""What an entry's end means: the cause of a failure, read from its exit code and its last words."""

from .child import Ended
from .failure import DISK_FULL, OUT_OF_MEMORY, PROCESS_LIMIT_EXCEEDED, SCRIPT_FAILED, UnitFailedError

_KILLED = 137
_MEMORY_WORDS = (b"MemoryError", b"CUDA out of memory", b"OutOfMemoryError", b"Cannot allocate memory")
_FILE_TOO_LARGE = 153  # SIGXFSZ
_DISK_WORDS = (b"No space left on device", b"File too large", b"Disk quota exceeded")
_PROCESS_WORDS = (b"can't start new thread", b"Resource temporarily unavailable", b"BlockingIOError")


def failure_of(ended: Ended) -> UnitFailedError | None:
    """The failure that ``ended`` amounts to, or None for exit code 0. The traceback stays in the log."""
    if ended.exit_code == 0:
        return None
    last_words = b"\n".join(ended.tail.splitlines()[-3:])
    if ended.exit_code == _KILLED or any(word in last_words for word in _MEMORY_WORDS):
        message = "The script ran out of memory. Lower its memory use or ask for a larger machine."
        return UnitFailedError(OUT_OF_MEMORY, message, exit_code=ended.exit_code)
    if any(word in last_words for word in _PROCESS_WORDS):
        message = "The script started more processes or threads than a unit may have."
        return UnitFailedError(PROCESS_LIMIT_EXCEEDED, message, exit_code=ended.exit_code)
    if ended.exit_code == _FILE_TOO_LARGE or any(word in last_words for word in _DISK_WORDS):
        return UnitFailedError(DISK_FULL, "The script wrote more than the unit's disk holds.", exit_code=ended.exit_code)
    return UnitFailedError(SCRIPT_FAILED, _last_line(ended), exit_code=ended.exit_code)


def _last_line(ended: Ended) -> str:
    lines = ended.tail.decode("utf-8", "replace").splitlines()
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    ending = f"The script ended with exit code {ended.exit_code}"
    return f"{ending}: {said[:300]}" if said else f"{ending}."
