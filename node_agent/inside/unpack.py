"""Unpacking a stranger's archive: plain files and folders below one folder, within bounds, or nothing at all.

Sizes in headers are claims; bytes are counted while they are read. Refused: absolute names, ``..``, links, devices,
encrypted members, names that occur twice, more than the allowed bytes, files or levels.
"""

import gzip
import lzma
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

MAX_FILES = 100_000
MAX_LEVELS = 32
MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 1024
_CHUNK = 1 << 20

# What the standard library raises on archives that are damaged or made to damage.
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    gzip.BadGzipFile,
    EOFError,
    ValueError,
    ArithmeticError,
    LookupError,
    RuntimeError,
    lzma.LZMAError,
    struct.error,
)


class UnsafeArchiveError(Exception):
    """The archive is damaged, too large or asks for something outside its folder; the sentence says which."""


@dataclass
class _Target:
    """The folder being filled, and what may still go in."""

    folder: Path
    bytes_left: int
    files_left: int = MAX_FILES
    seen: set[PurePosixPath] = field(default_factory=set)

    def add_folder(self, name: str) -> None:
        relative = _safe_name(name)
        if relative is not None:
            self._make(relative)

    def add_file(self, name: str, source: IO[bytes], *, executable: bool) -> None:
        relative = _safe_name(name)
        if relative is None or relative in self.seen:
            raise UnsafeArchiveError(f"{_shown(name)} occurs twice or has no name")
        self.seen.add(relative)
        self.files_left -= 1
        if self.files_left < 0:
            raise UnsafeArchiveError(f"more than {MAX_FILES} files")
        self._make(relative.parent)
        path = self.folder / relative
        # "x": a folder or file of that name made by an earlier member must not be written through.
        with path.open("xb") as file:
            self._copy(source, file)
        path.chmod(0o755 if executable else 0o644)

    def _make(self, relative: PurePosixPath) -> None:
        if len(self.seen) > 2 * MAX_FILES:
            raise UnsafeArchiveError("too many folders")
        folder = self.folder
        for part in relative.parts:
            folder = folder / part
            if not folder.is_dir():
                folder.mkdir()
                self.seen.add(PurePosixPath(folder.relative_to(self.folder)))

    def _copy(self, source: IO[bytes], file: IO[bytes]) -> None:
        while chunk := source.read(_CHUNK):
            self.bytes_left -= len(chunk)
            if self.bytes_left < 0:
                raise UnsafeArchiveError("it unpacks to more bytes than allowed")
            file.write(chunk)


def unpack_zip(archive: Path, folder: Path, *, max_bytes: int) -> None:
    """Unpacks a zip into the existing ``folder``. Raises UnsafeArchiveError; what was written so far stays."""
    target = _Target(folder, max_bytes)
    with _translated(), zipfile.ZipFile(archive) as source:
        for member in source.infolist():
            _refuse_zip_oddities(member)
            if member.is_dir():
                target.add_folder(member.filename)
                continue
            with source.open(member) as stream:
                target.add_file(member.filename, stream, executable=bool((member.external_attr >> 16) & 0o100))


def unpack_tar(archive: Path, folder: Path, *, max_bytes: int) -> None:
    """Unpacks a tar, gzipped or not, into the existing ``folder``. Raises UnsafeArchiveError like ``unpack_zip``."""
    target = _Target(folder, max_bytes)
    with _translated(), archive.open("rb") as raw, _decompressed(raw) as plain:
        stream = _Bounded(plain, 2 * max_bytes + (MAX_FILES << 10))
        with tarfile.open(fileobj=stream, mode="r|") as source:  # type: ignore[call-overload]
            for member in _members(source):
                if member.isdir():
                    target.add_folder(member.name)
                    continue
                content = source.extractfile(member)
                if content is None:
                    raise UnsafeArchiveError(f"{_shown(member.name)} has no content")
                target.add_file(member.name, content, executable=bool(member.mode & 0o100))


def place_file(source: Path, folder: Path, *, name: str) -> Path:
    """Copies a file that is no archive into ``folder`` under a harmless form of ``name``."""
    kept = "".join(char if char.isalnum() or char in "._- " else "_" for char in name.rsplit("/", 1)[-1])
    path = folder / (kept.strip(". ")[:100] or "dataset")
    shutil.copyfile(source, path)
    return path


def _members(source: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in source:
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE):
            raise UnsafeArchiveError(f"{_shown(member.name)} is a link, a device or another special file")
        yield member


def _refuse_zip_oddities(member: zipfile.ZipInfo) -> None:
    if member.header_offset < 0:
        # Seeking there would be an error of the machine's, and the machine would be blamed.
        raise UnsafeArchiveError("the zip file is damaged: a file begins before it")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UnsafeArchiveError(f"{_shown(member.filename)} is a link, a device or another special file")
    if member.flag_bits & 0x1:
        raise UnsafeArchiveError(f"{_shown(member.filename)} is encrypted")


def _safe_name(name: str) -> PurePosixPath | None:
    """``name`` as a path below the folder; None for the folder itself."""
    if "\\" in name or "\0" in name or name.startswith("/") or name[1:2] == ":":
        raise UnsafeArchiveError(f"{_shown(name)} is not a relative path with forward slashes")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise UnsafeArchiveError(f"{_shown(name)} leads out of its folder")
    lengths = [len(part.encode(errors="replace")) for part in parts]
    if len(parts) > MAX_LEVELS or max(lengths, default=0) > MAX_NAME_BYTES or sum(lengths) > MAX_PATH_BYTES:
        raise UnsafeArchiveError(f"{_shown(name)} is too deep or too long")
    return PurePosixPath(*parts) if parts else None


def _shown(name: str) -> str:
    return ascii(name[:100])


class _Bounded:
    """A stream that refuses to give more than ``limit`` bytes: headers count too, so a bomb of headers ends here."""

    def __init__(self, source: IO[bytes], limit: int) -> None:
        self._source = source
        self._left = limit

    def read(self, size: int = -1) -> bytes:
        chunk = self._source.read(size)
        self._left -= len(chunk)
        if self._left < 0:
            raise UnsafeArchiveError("it unpacks to more bytes than allowed")
        return chunk


def _decompressed(raw: IO[bytes]) -> IO[bytes]:
    magic = raw.read(2)
    raw.seek(0)
    return gzip.open(raw, "rb") if magic == b"\x1f\x8b" else raw  # type: ignore[return-value]


class _translated:  # noqa: N801 - reads as a statement
    """Turns the many ways in which a broken archive fails into the one that callers know."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, UnsafeArchiveError):
            return
        if isinstance(error, FileExistsError | IsADirectoryError | NotADirectoryError):
            raise UnsafeArchiveError("two members want the same place") from error
        # bz2 says "invalid data" with an OSError that has no number; with one it is about the disk, not the archive.
        if isinstance(error, _BROKEN) or (isinstance(error, OSError) and error.errno is None):
            raise UnsafeArchiveError(f"it is damaged ({type(error).__name__})") from error
