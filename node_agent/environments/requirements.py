"""What a package asks for: names and versions from an index, and nothing that could make pip run or fetch otherwise."""

import hashlib
import json
import re
import zipfile
import zlib
from pathlib import Path

from node_agent.environments.environments import EnvironmentFailedError

MAX_FILE_BYTES = 65_536
MAX_LINES = 500

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_VERSION = r"\s*(?:===?|~=|!=|<=?|>=?)\s*[A-Za-z0-9.*+!_-]+\s*"
_LINE = re.compile(rf"({_NAME})\s*(\[\s*{_NAME}(?:\s*,\s*{_NAME})*\s*\])?\s*((?:{_VERSION})(?:,{_VERSION})*)?")


def read_requirements(package: Path, member: str) -> tuple[str, ...]:
    """The normalised requirements in ``member`` of the zip ``package``.

    Only this one member is decompressed and only as text, up to MAX_FILE_BYTES. Raises EnvironmentFailedError.
    """
    try:
        with zipfile.ZipFile(package) as archive, archive.open(member) as file:
            raw = file.read(MAX_FILE_BYTES + 1)
        text = raw.decode("utf-8-sig")
    except KeyError as error:
        raise EnvironmentFailedError(f"The package has no file {member!r}.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, OSError, NotImplementedError) as error:
        raise EnvironmentFailedError(f"{member!r} cannot be read from the package: {type(error).__name__}.") from error
    if len(raw) > MAX_FILE_BYTES:
        raise EnvironmentFailedError(f"{member!r} is larger than {MAX_FILE_BYTES} bytes.")
    return normalised(text)


def normalised(text: str) -> tuple[str, ...]:
    """Requirement lines without comments and spaces, sorted and unique, so that equal wishes share an environment.

    Allowed is ``name[extras]<version specifiers>`` and nothing else. Raises EnvironmentFailedError with the line:
    URLs, paths, options such as ``-e`` or ``--index-url``, nested files and markers are refused.
    """
    lines = [re.split(r"(?:^|\s)#", line)[0].strip() for line in text.splitlines()]
    wanted = [line for line in lines if line]
    if len(wanted) > MAX_LINES:
        raise EnvironmentFailedError(f"The requirements have more than {MAX_LINES} lines.")
    return tuple(sorted({_normalised_line(line) for line in wanted}))


def _normalised_line(line: str) -> str:
    match = _LINE.fullmatch(line)
    if match is None:
        reason = "only lines such as 'numpy>=1.26' or 'name[extra]==1.0' are installed"
        raise EnvironmentFailedError(f"The requirement {line[:200]!r} is refused: {reason}.")
    name, extras, versions = (re.sub(r"\s+", "", part or "") for part in match.groups())
    return f"{re.sub(r'[-_.]+', '-', name).lower()}{extras.lower()}{versions}"


def fingerprint(requirements: tuple[str, ...], *, python: str) -> str:
    """The name under which an environment is kept; ``python`` distinguishes interpreters."""
    document = json.dumps([python, requirements]).encode()
    return hashlib.sha256(document).hexdigest()[:32]
