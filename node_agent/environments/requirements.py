"""What a package asks for: names and versions from an index, and nothing that could make pip run or fetch otherwise."""

import hashlib
import io
import json
import re
import zipfile
import zlib
from pathlib import Path

from node_agent.environments.environments import EnvironmentFailedError

MAX_FILE_BYTES = 65_536
MAX_TEXT_LINES = 2_000
MAX_LINES = 500
MAX_LINE_CHARACTERS = 300
# The zip's own list of members, read whole; 100 000 members of usual names fit.
MAX_DIRECTORY_BYTES = 8 << 20

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_VERSION = r"(?:===?|~=|!=|<=?|>=?) ?[A-Za-z0-9.*+!_-]+"
# For text whose white space is collapsed: an optional space is always followed by something that is there, and never by a
# second one, because two neighbours that match the same spaces cost time with a power of their number.
_LINE = re.compile(rf"({_NAME})( ?\[ ?{_NAME}(?: ?, ?{_NAME})* ?\])?( ?{_VERSION}(?: ?, ?{_VERSION})*)?")
# Others (LZMA) let the archive say how much memory it takes to read them.
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class _PackageFile(io.FileIO):
    """A package that refuses to be read in pieces larger than its list of members may be."""

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = MAX_DIRECTORY_BYTES + 1 if size is None or size < 0 else size
        content = super().read(wanted) if wanted <= MAX_DIRECTORY_BYTES + 1 else None
        if content is None or len(content) > MAX_DIRECTORY_BYTES:
            raise EnvironmentFailedError(f"The package's list of files is larger than {MAX_DIRECTORY_BYTES} bytes.")
        return content


def read_requirements(package: Path, member: str) -> tuple[str, ...]:
    """The normalised requirements in ``member`` of the zip ``package``.

    Only this one member is decompressed and only as text, up to MAX_FILE_BYTES. Raises EnvironmentFailedError.
    """
    try:
        with _PackageFile(package) as source, zipfile.ZipFile(source) as archive:
            raw = _read_member(archive, member)
        text = raw.decode("utf-8-sig")
    except KeyError as error:
        raise EnvironmentFailedError(f"The package has no file {member!r}.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, OSError, NotImplementedError) as error:
        raise EnvironmentFailedError(f"{member!r} cannot be read from the package: {type(error).__name__}.") from error
    if len(raw) > MAX_FILE_BYTES:
        raise EnvironmentFailedError(f"{member!r} is larger than {MAX_FILE_BYTES} bytes.")
    return normalised(text)


def _read_member(archive: zipfile.ZipFile, member: str) -> bytes:
    if archive.getinfo(member).compress_type not in _COMPRESSIONS:
        raise NotImplementedError("compression")
    with archive.open(member) as file:
        return file.read(MAX_FILE_BYTES + 1)


def normalised(text: str) -> tuple[str, ...]:
    """Requirement lines without comments and spaces, sorted and unique, so that equal wishes share an environment.

    Allowed is ``name[extras]<version specifiers>`` and nothing else. Raises EnvironmentFailedError with the line:
    URLs, paths, options such as ``-e`` or ``--index-url``, nested files and markers are refused.
    """
    lines = text.splitlines()
    if len(lines) > MAX_TEXT_LINES:
        raise EnvironmentFailedError(f"The requirements file has more than {MAX_TEXT_LINES} lines, comments included.")
    wanted = [line for line in (re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip() for line in lines) if line]
    if len(wanted) > MAX_LINES:
        raise EnvironmentFailedError(f"The requirements have more than {MAX_LINES} lines.")
    return tuple(sorted({_normalised_line(line) for line in wanted}))


def _normalised_line(line: str) -> str:
    if len(line) > MAX_LINE_CHARACTERS:
        raise EnvironmentFailedError(
            f"The requirement that begins with {line[:40]!r} is refused: it is longer than {MAX_LINE_CHARACTERS} characters."
        )
    match = _LINE.fullmatch(" ".join(line.split()))
    if match is None:
        reason = "only lines such as 'numpy>=1.26' or 'name[extra]==1.0' are installed"
        raise EnvironmentFailedError(f"The requirement {line[:200]!r} is refused: {reason}.")
    name, extras, versions = ((part or "").replace(" ", "") for part in match.groups())
    return f"{re.sub(r'[-_.]+', '-', name).lower()}{extras.lower()}{versions}"


def fingerprint(requirements: tuple[str, ...], *, python: str) -> str:
    """The name under which an environment is kept; ``python`` distinguishes interpreters."""
    document = json.dumps([python, requirements]).encode()
    return hashlib.sha256(document).hexdigest()[:32]
