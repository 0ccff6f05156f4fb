"""Packing a folder so that the same content gives the same bytes, whoever packed it and when."""

import gzip
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from .failure import OUTPUT_TOO_LARGE, UnitFailedError

MAX_FILES = 100_000
MAX_LEVELS = 64


def regular_files(folder: Path) -> list[tuple[str, Path]]:
    """Every regular file below ``folder`` as (name, path), sorted by name. Links and special files are left out."""
    return sorted(_walk(folder))


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    pending = [(folder, "", 0)]
    count = 0
    while pending:
        current, prefix, level = pending.pop()
        if level > MAX_LEVELS:
            raise UnitFailedError(OUTPUT_TOO_LARGE, f"The folder {folder.name} is nested more than {MAX_LEVELS} levels deep.")
        with os.scandir(current) as entries:
            for entry in entries:
                count += 1
                if count > MAX_FILES:
                    raise UnitFailedError(OUTPUT_TOO_LARGE, f"The folder {folder.name} holds more than {MAX_FILES} files.")
                if entry.is_dir(follow_symlinks=False):
                    pending.append((Path(entry.path), f"{prefix}{entry.name}/", level + 1))
                elif entry.is_file(follow_symlinks=False):
                    yield f"{prefix}{entry.name}", Path(entry.path)
                else:
                    print(f"left out {prefix + entry.name!a}: links and special files are not packed", flush=True)


def pack_folder(folder: Path, archive: Path, *, max_bytes: int) -> int:
    """Writes ``folder`` as a gzipped tar and returns its size; 0 and no file when there is nothing to pack.

    Raises UnitFailedError(OUTPUT_TOO_LARGE) as soon as the archive would be larger than ``max_bytes``.
    """
    files = regular_files(folder)
    if not files:
        return 0
    with archive.open("xb") as raw:
        # Level 1: weights hardly compress, and the time is the customer's.
        capped = _Capped(raw, max_bytes)
        with (
            gzip.GzipFile(filename="", fileobj=capped, mode="wb", compresslevel=1, mtime=0) as zipped,
            tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for name, path in files:
                _add(tar, name, path)
        return raw.tell()


def _add(tar: tarfile.TarFile, name: str, path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - opened by descriptor
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            return
        member = tarfile.TarInfo(name)
        member.size = state.st_size
        member.mode = 0o755 if state.st_mode & 0o100 else 0o644
        tar.addfile(member, file)


class _Capped:
    """A file that refuses to grow past ``limit`` bytes."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self._file = file
        self._left = limit
        self._limit = limit

    def write(self, data: bytes) -> int:
        self._left -= len(data)
        if self._left < 0:
            raise UnitFailedError(OUTPUT_TOO_LARGE, f"The unit's output is larger than {self._limit} bytes when packed.")
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()
