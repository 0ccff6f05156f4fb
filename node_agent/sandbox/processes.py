"""The processes of a unit as the host sees them, and the memory they hold."""

import contextlib
import os
import stat
from pathlib import Path

_MIB = 1 << 20
_BLOCK = 512
_PAGE = os.sysconf("SC_PAGE_SIZE")


def tree(pid: int) -> list[int]:
    """``pid`` and all its descendants; [] when it is gone.

    Complete although orphans change parents: inside a PID namespace they go to its init, which is in the tree.
    """
    found: list[int] = []
    pending = [pid]
    while pending:
        current = pending.pop()
        tasks = Path(f"/proc/{current}/task")
        with contextlib.suppress(OSError):
            children = [(tasks / task / "children").read_text() for task in os.listdir(tasks)]  # noqa: PTH208 - hot
            found.append(current)
            pending += [int(child) for line in children for child in line.split()]
    return found


def task_count(pids: list[int]) -> int:
    """Threads of all ``pids`` together, which is what the kernel's process limit counts."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208 - a count, in a hot loop
    return total


def resident_mb(pids: list[int]) -> int:
    """Resident memory summed over ``pids``; pages that they share count more than once, so this is never too low."""
    pages = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * _PAGE // _MIB


def proportional_mb(pids: list[int]) -> tuple[int, int]:
    """Resident memory with each shared page counted once, as (ordinary, shared memory). Slower than ``resident_mb``."""
    kilobytes = {"Pss_Anon": 0, "Pss_File": 0, "Pss_Shmem": 0}
    for pid in pids:
        with contextlib.suppress(OSError, ValueError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name, _, rest = line.partition(":")
                if name in kilobytes:
                    kilobytes[name] += int(rest.split()[0])
    return (kilobytes["Pss_Anon"] + kilobytes["Pss_File"]) // 1024, kilobytes["Pss_Shmem"] // 1024


def scratch_mb(pids: list[int], *, landmark: str) -> int:
    """What the unit's memory-backed folders hold, seen through one of its processes.

    ``landmark`` is a path that exists inside only: a process that does not see it still has the host's root.
    """
    for pid in pids:
        root = Path(f"/proc/{pid}/root")
        with contextlib.suppress(OSError):
            if (root / landmark).exists():
                found = [os.statvfs(root / folder) for folder in ("tmp", "dev/shm")]
                return sum((state.f_blocks - state.f_bfree) * state.f_frsize for state in found) // _MIB
    return 0


def deleted_bytes(pids: list[int], device: int) -> tuple[int, int]:
    """Bytes of open files that no folder shows, as (deleted ones on ``device``, anonymous ones in memory)."""
    on_disk: dict[int, int] = {}
    in_memory: dict[int, int] = {}
    for pid in pids:
        with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/fd") as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    state = entry.stat()
                    if state.st_nlink == 0 and stat.S_ISREG(state.st_mode):
                        kept = on_disk if state.st_dev == device else in_memory if state.st_dev == _MEMORY_DEVICE else {}
                        kept[state.st_ino] = state.st_blocks * _BLOCK
    return sum(on_disk.values()), sum(in_memory.values())


def _memory_device() -> int:
    descriptor = os.memfd_create("probe")
    try:
        return os.fstat(descriptor).st_dev
    finally:
        os.close(descriptor)


_MEMORY_DEVICE = _memory_device()
