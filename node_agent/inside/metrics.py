"""Metrics as scripts print them: a line that is one JSON object with at least one finite number."""

import json
import math
from collections.abc import Iterable
from pathlib import Path

MAX_LINE_BYTES = 16_384
MAX_LINES = 200_000
MAX_NAMES = 50
_MAX_NAME = 64  # as on the way to the control plane


def parse_line(line: bytes) -> dict[str, object] | None:
    """The metrics object in ``line``, or None when the line is ordinary text."""
    line = line.strip()
    if not (line.startswith(b"{") and line.endswith(b"}")) or len(line) > MAX_LINE_BYTES:
        return None
    try:
        parsed = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return parsed if numbers_in(parsed) else None


def numbers_in(record: dict[str, object]) -> dict[str, float]:
    """The finite numbers of one metrics object, by name."""
    found: dict[str, float] = {}
    for name, value in record.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or len(name) > _MAX_NAME:
            continue
        try:
            number = float(value)
        except OverflowError:
            continue
        if math.isfinite(number):
            found[name] = number
    return found


def read_lines(path: Path) -> list[dict[str, object]]:
    """The metrics objects of a file, oldest first, at most MAX_LINES; [] when there is no such regular file."""
    if path.is_symlink() or not path.is_file():
        return []
    found: list[dict[str, object]] = []
    with path.open("rb") as file:
        while len(found) < MAX_LINES and (line := file.readline(MAX_LINE_BYTES + 1)):
            record = parse_line(line)
            if record is not None:
                found.append(record)
    return found


def write_lines(path: Path, records: Iterable[dict[str, object]]) -> None:
    """Writes the plain values of metrics objects as JSON lines; numbers that JSON cannot say become null."""
    with path.open("x", encoding="utf-8") as file:
        for record in records:
            plain = {name: _sayable(value) for name, value in record.items() if not isinstance(value, dict | list)}
            file.write(json.dumps(plain) + "\n")


def last_values(records: Iterable[dict[str, object]]) -> dict[str, float]:
    """The newest finite value of every metric; of more than MAX_NAMES names the ones seen last are kept."""
    values: dict[str, float] = {}
    for record in records:
        for name, number in numbers_in(record).items():
            values.pop(name, None)
            values[name] = number
    return dict(list(values.items())[-MAX_NAMES:])


def _sayable(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


class LineCollector:
    """Cuts a byte stream into lines and keeps those that are metrics."""

    def __init__(self) -> None:
        self.records: list[dict[str, object]] = []
        self._partial = b""
        self._skipping = False

    def feed(self, chunk: bytes) -> None:
        *lines, rest = (self._partial + chunk).split(b"\n")
        for line in lines:
            if not self._skipping:
                self._keep(line)
            self._skipping = False
        # The rest of a line that is already too long can never become metrics; holding it would let a script that
        # never prints a newline fill this process.
        self._skipping = self._skipping or len(rest) > MAX_LINE_BYTES
        self._partial = b"" if self._skipping else rest

    def close(self) -> None:
        """The last line may lack its newline."""
        if not self._skipping:
            self._keep(self._partial)
        self._partial = b""

    def _keep(self, line: bytes) -> None:
        record = parse_line(line)
        if record is not None and len(self.records) < MAX_LINES:
            self.records.append(record)
