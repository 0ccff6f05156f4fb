"""Kernel accounting for a unit where the agent may create control groups; elsewhere the watch over /proc stands alone.

Version 2: a sibling of the agent's own group, because a group that holds processes cannot hand out controllers.
Version 1: a child of the agent's own group in the memory and pids hierarchies.
"""

import contextlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path

_MIB = 1 << 20
_MOUNT = Path("/sys/fs/cgroup")
_REMOVE_TRIES = 100


@dataclass(frozen=True)
class _Files:
    """The names that differ between the versions."""

    memory_limit: str
    memory_events: str
    memory_keys: tuple[str, str]
    pids_limit: str = "pids.max"
    pids_events: str = "pids.events"


_V1 = _Files("memory.limit_in_bytes", "memory.oom_control", ("total_rss", "total_shmem"))
_V2 = _Files("memory.max", "memory.events", ("anon", "shmem"))


@dataclass(frozen=True)
class ControlGroup:
    """One unit's groups: the same folder twice under version 2."""

    memory: Path
    pids: Path
    files: _Files

    @property
    def entrances(self) -> tuple[Path, ...]:
        """Files that take the id of a process to move it in."""
        return tuple(folder / "cgroup.procs" for folder in dict.fromkeys((self.memory, self.pids)))

    def memory_mb(self) -> int:
        """Memory that cannot be given back: the page cache of files on disk does not count."""
        stats = _read_table(self.memory / "memory.stat")
        return sum(stats.get(key, 0) for key in self.files.memory_keys) // _MIB

    def out_of_memory(self) -> bool:
        """Whether the kernel killed a process of the unit for its memory."""
        return _read_table(self.memory / self.files.memory_events).get("oom_kill", 0) > 0

    def refused_processes(self) -> bool:
        return _read_table(self.pids / self.files.pids_events).get("max", 0) > 0

    def remove(self) -> None:
        """Removes the emptied groups; one that stays busy is left to the host, it holds no process of ours."""
        pause = threading.Event()
        for folder in dict.fromkeys((self.memory, self.pids)):
            for _ in range(_REMOVE_TRIES):
                try:
                    folder.rmdir()
                except FileNotFoundError:
                    break
                except OSError:
                    pause.wait(0.01)
                else:
                    break


def create(name: str, *, memory_mb: int, processes: int) -> ControlGroup | None:
    """Groups with their limits set, or None when this host does not let the agent make them."""
    group = _place(name)
    if group is None:
        return None
    try:
        for folder in dict.fromkeys((group.memory, group.pids)):
            folder.mkdir()
        (group.memory / group.files.memory_limit).write_text(str(memory_mb * _MIB))
        (group.pids / group.files.pids_limit).write_text(str(processes))
        if not all(os.access(entrance, os.W_OK) for entrance in group.entrances):
            raise PermissionError("cgroup.procs")
    except OSError:
        group.remove()
        return None
    with contextlib.suppress(OSError):
        (group.memory / "memory.swap.max").write_text("0")
    return group


def remove_leftovers(prefix: str) -> None:
    """Removes groups that an agent left when it was killed. One that still holds a process refuses, and stays."""
    place = _place(prefix)
    for parent in {place.memory.parent, place.pids.parent} if place is not None else ():
        for folder in parent.glob(f"{prefix}*"):
            with contextlib.suppress(OSError):
                folder.rmdir()


def _place(name: str) -> ControlGroup | None:
    own = _own_groups()
    if "memory" in own and "pids" in own:
        memory, pids = (_MOUNT / kind / own[kind] / name for kind in ("memory", "pids"))
        return ControlGroup(memory, pids, _V1)
    if own.keys() == {""}:
        folder = (_MOUNT / own[""]).parent / name if own[""] else _MOUNT / name
        return ControlGroup(folder, folder, _V2)
    return None


def _own_groups() -> dict[str, str]:
    """This process's group by controller, relative to its hierarchy's root; the key is "" under version 2."""
    found: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            found |= dict.fromkeys(controllers.split(","), path.lstrip("/"))
    return found


def _read_table(path: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            if value.isdigit():
                found[key] = int(value)
    return found
