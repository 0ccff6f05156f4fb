"""Whether a training package is safe to unpack and can be run, read from the zip's directory alone."""

import io
import posixpath
import stat
import struct
import zipfile
import zlib
from collections.abc import Sequence
from typing import IO, cast

from gpupool.errors import ValidationFailed
from gpupool.planning.manifest import MANIFEST_NAME, decode_manifest, parse_manifest
from gpupool.planning.model import Manifest

MAX_ENTRIES = 2_000
MAX_UNPACKED_BYTES = 500_000_000
MAX_MANIFEST_BYTES = 64 * 1024
# A whole directory of MAX_ENTRIES long names, with room; what is read of an archive never exceeds it.
MAX_BYTES_READ = 4 * 1024 * 1024

_MAX_NAME_BYTES = 512
# Source and text rarely reach 20:1. Small entries may (an empty-ish CSV); what is small cannot fill a disk.
_MAX_RATIO = 200
_SMALL_BYTES = 1_000_000
_ENCRYPTED = 0x1 | 0x40
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_LOCAL_HEADER_BYTES = 30
_BROKEN = (zipfile.BadZipFile, OSError, ValueError, struct.error, EOFError, NotImplementedError, RuntimeError, zlib.error)


def read_package(file: IO[bytes] | io.RawIOBase) -> Manifest:
    """The manifest of the package in ``file``. Raises ValidationFailed with the entry's name in ``details.entry``:

    PACKAGE_INVALID      not a zip that can be read, or not one that unpacks to one thing only
    PACKAGE_UNSAFE       it would write outside its folder, create something other than files, or fill the disk
    PACKAGE_NO_ENTRY, MANIFEST_INVALID, PLAN_CYCLIC   as gpupool.planning.manifest says
    """
    try:
        archive = zipfile.ZipFile(cast(IO[bytes], file))
    except _BROKEN as error:
        raise _invalid("It is not a readable zip file; zip the folder again.") from error
    entries = archive.infolist()
    names = check_entries(entries, directory_start=archive.start_dir)
    return parse_manifest(_manifest_text(archive, names), frozenset(names))


def check_entries(entries: Sequence[zipfile.ZipInfo], *, directory_start: int) -> dict[str, zipfile.ZipInfo]:
    """The archive's files by their normal path, once every entry has been found harmless."""
    if len(entries) > MAX_ENTRIES:
        raise _unsafe(f"It holds {len(entries)} entries, more than {MAX_ENTRIES}; leave out what training does not need.")
    files: dict[str, zipfile.ZipInfo] = {}
    folders: set[str] = set()
    for entry in entries:
        path = safe_path(entry.orig_filename)
        _check_kind(entry)
        if path in files or (entry.is_dir() and path in folders):
            raise _invalid("Two entries have the same path; keep one of them.", entry)
        if entry.is_dir():
            folders.add(path)
        else:
            files[path] = entry
    _check_folders(files, folders)
    _check_sizes(entries)
    _check_overlap(entries, directory_start)
    return files


def safe_path(name: str) -> str:
    """The normal form of an entry's path; PACKAGE_UNSAFE when it could lead out of the folder it is unpacked into."""
    drive = len(name) > 1 and name[1] == ":"
    if name.startswith("/") or "\\" in name or drive:
        raise _unsafe("An entry has an absolute path, a drive or a backslash; use relative paths with '/'.", name)
    if ".." in name.split("/"):
        raise _unsafe("An entry's path contains '..'; keep every path inside the package.", name)
    if not name or not name.isprintable() or len(name.encode(errors="replace")) > _MAX_NAME_BYTES:
        raise _unsafe("An entry's name is empty, too long or holds control characters; rename it.", name)
    return posixpath.normpath(name)


def _check_kind(entry: zipfile.ZipInfo) -> None:
    mode = stat.S_IFMT(entry.external_attr >> 16)
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _unsafe("An entry is a link, a device or a pipe; put the file itself into the package.", entry.orig_filename)
    if entry.flag_bits & _ENCRYPTED:
        raise _invalid("An entry is encrypted; zip without a password.", entry)
    if entry.compress_type not in _METHODS:
        raise _invalid("An entry uses a compression other than deflate; zip with the usual settings.", entry)


def _check_folders(files: dict[str, zipfile.ZipInfo], folders: set[str]) -> None:
    for path in (*files, *folders):
        parent = posixpath.dirname(path)
        while parent:
            if parent in files:
                raise _invalid("An entry is a file and a folder at once; rename one.", files[parent])
            parent = posixpath.dirname(parent)
    for path in folders & files.keys():
        raise _invalid("An entry is a file and a folder at once; rename one.", files[path])


def _check_sizes(entries: Sequence[zipfile.ZipInfo]) -> None:
    total = sum(entry.file_size for entry in entries)
    if total > MAX_UNPACKED_BYTES:
        raise _unsafe(f"It unpacks to {total} bytes, more than {MAX_UNPACKED_BYTES}; move data into a dataset.")
    for entry in entries:
        if entry.file_size > _SMALL_BYTES and entry.file_size > _MAX_RATIO * entry.compress_size:
            message = f"An entry unpacks to more than {_MAX_RATIO} times its size; move such data into a dataset."
            raise _unsafe(message, entry.orig_filename)


def _check_overlap(entries: Sequence[zipfile.ZipInfo], directory_start: int) -> None:
    """Entries that share bytes make a small archive unpack to a large one, and no honest writer produces them."""
    ordered = sorted(entries, key=lambda entry: entry.header_offset)
    ends = [entry.header_offset for entry in ordered[1:]] + [directory_start]
    for entry, end in zip(ordered, ends, strict=True):
        least = _LOCAL_HEADER_BYTES + len(entry.orig_filename.encode(errors="replace")) + entry.compress_size
        if entry.header_offset < 0 or entry.header_offset + least > end:
            raise _unsafe("Entries overlap inside the zip file; zip the folder again.", entry.orig_filename)


def _manifest_text(archive: zipfile.ZipFile, files: dict[str, zipfile.ZipInfo]) -> str | None:
    entry = files.get(MANIFEST_NAME)
    if entry is None:
        return None
    if entry.file_size > MAX_MANIFEST_BYTES:
        raise ValidationFailed(
            f"{MANIFEST_NAME} is larger than {MAX_MANIFEST_BYTES} bytes; shorten it.", code="MANIFEST_INVALID", field=""
        )
    try:
        with archive.open(entry) as stream:
            text = stream.read(MAX_MANIFEST_BYTES + 1)
    except _BROKEN as error:
        raise _invalid("Its manifest cannot be unpacked; zip the folder again.", entry) from error
    return decode_manifest(text)


def _unsafe(message: str, name: str | None = None) -> ValidationFailed:
    details = {} if name is None else {"entry": shown(name)}
    return ValidationFailed(f"The package was refused. {message}", code="PACKAGE_UNSAFE", field="/sha256", details=details)


def _invalid(message: str, entry: zipfile.ZipInfo | None = None) -> ValidationFailed:
    details = {} if entry is None else {"entry": shown(entry.orig_filename)}
    return ValidationFailed(f"The package was refused. {message}", code="PACKAGE_INVALID", field="/sha256", details=details)


def shown(name: str) -> str:
    """A stranger's file name, fit for an answer and a log line."""
    return ascii(name)[1:-1][:200]
