"""How much a unit has written, measured in folders whose content is hostile and changes under the eyes."""

import contextlib
import os
import stat
from pathlib import Path

MAX_ENTRIES = 300_000
MAX_LEVELS = 100
_BLOCK = 512


class UnmeasurableError(Exception):
    """More entries or deeper folders than can be measured in reasonable time, or a folder that is closed to its measurement:
    a use of disk in itself.
    """


def bytes_below(folder: Path) -> int:
    """Allocated bytes of everything below ``folder``; never follows a link, so it never leaves the folder."""
    return _Walk().measure(folder)


class _Walk:
    """One measurement. Works on open descriptors, because names may change and grow beyond any path length."""

    def __init__(self) -> None:
        self._entries = 0

    def measure(self, folder: Path) -> int:
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                return self._below(descriptor, level=0)
            finally:
                os.close(descriptor)
        except PermissionError:  # its message would tell a unit's owner where the unit lay
            raise UnmeasurableError("a closed folder") from None

    def _below(self, descriptor: int, *, level: int) -> int:
        if level > MAX_LEVELS:
            raise UnmeasurableError(f"folders nested more than {MAX_LEVELS} levels deep")
        total = 0
        with os.scandir(descriptor) as entries:
            for entry in entries:
                self._entries += 1
                if self._entries > MAX_ENTRIES:
                    raise UnmeasurableError(f"more than {MAX_ENTRIES} files")
                # What vanishes while it is looked at uses nothing.
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    total += self._of_entry(entry, descriptor, level=level)
        return total

    def _of_entry(self, entry: os.DirEntry[str], parent: int, *, level: int) -> int:
        state = entry.stat(follow_symlinks=False)
        total = state.st_blocks * _BLOCK
        if stat.S_ISDIR(state.st_mode):
            child = os.open(entry.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
            try:
                total += self._below(child, level=level + 1)
            finally:
                os.close(child)
        return total
