"""Metrics and progress read from what a unit prints: lines that are one JSON object with numbers."""

import json
import math
from collections.abc import Mapping
from typing import Any

MOST_NAMES = 50
_LONGEST_NAME = 64
_LONGEST_LINE = 16_384
_FRACTIONS = (("step", "total_steps"), ("epoch", "epochs"))


class MetricsReader:
    """Feed it output as it comes, cut anywhere. Memory is bounded whatever a unit prints; not thread-safe."""

    def __init__(self) -> None:
        self.latest: dict[str, float] = {}
        self.fraction: float | None = None
        self._rest = b""
        self._skipping = False

    def feed(self, data: bytes) -> None:
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not self._skipping and len(line) <= _LONGEST_LINE:
                self._read(line)
            self._skipping = False
        if len(rest) > _LONGEST_LINE:
            self._skipping = True
            rest = b""
        self._rest = rest

    def _read(self, line: bytes) -> None:
        values = numbers_in(line)
        if not values:
            return
        for name, value in values.items():
            if name in self.latest or len(self.latest) < MOST_NAMES:
                self.latest[name] = value
        fraction = fraction_of(values)
        if fraction is not None:
            self.fraction = fraction


def numbers_in(line: bytes) -> dict[str, float]:
    """The finite numbers of a line that is one JSON object; empty for every other line."""
    text = line.strip()
    if not (text.startswith(b"{") and text.endswith(b"}")):
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    numbers = ((name, _finite(value)) for name, value in found.items() if 0 < len(name) <= _LONGEST_NAME)
    return {name: value for name, value in numbers if value is not None}


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def fraction_of(values: Mapping[str, float]) -> float | None:
    """How much of the work is done, from the words that scripts use for it; None when the line says nothing about it."""
    if "progress" in values:
        return min(1.0, max(0.0, values["progress"]))
    for done, total in _FRACTIONS:
        if done in values and values.get(total, 0.0) > 0:
            return min(1.0, max(0.0, values[done] / values[total]))
    return None
