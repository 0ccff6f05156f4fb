"""Crash points and faults, and the shared folder in which it is written down which of them were found and tried."""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.cloud.calls import Call, is_read


class Fault(StrEnum):
    """What goes wrong. The first six befall one AWS call, the others one delivery."""

    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"
    THROTTLE = "throttle"
    TIMEOUT = "timeout after the effect"
    # The same input is worked on from beginning to end by another process while this one is about to make the call.
    CONCURRENT = "second concurrent execution"
    # While a node's request is about to make the call, its lease lapses and another node takes the unit.
    STALE_LEASE = "stale lease"
    # The same input comes again at once, and once more when all is over.
    DUPLICATE = "duplicate delivery"
    # What was written later is delivered earlier.
    REORDERED = "reordered delivery"
    # One record of a batch fails, the others go through.
    PARTIAL_BATCH = "partial batch failure"


_LONGEST_TURN = 4
OF_EVERY_CALL = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.THROTTLE, Fault.TIMEOUT, Fault.CONCURRENT)
OF_CALLS = frozenset({*OF_EVERY_CALL, Fault.STALE_LEASE})


@dataclass(frozen=True, order=True)
class Point:
    """A place where something can go wrong: a call of a handler on some kind of input, by the calls that led to it; without
    calls, the delivery of that kind of input. Equal points are one point, however often a run passes it."""

    room: str
    trigger: str
    path: tuple[str, ...] = ()

    @classmethod
    def of(cls, call: Call) -> "Point":
        made = call.invocation.calls[: call.number]
        return cls(call.invocation.room, call.invocation.trigger, _collapsed(each.name for each in made))

    def __str__(self) -> str:
        where = f"{self.room} [{self.trigger}]"
        return f"{where} call {len(self.path)}, {self.path[-1]}" if self.path else where


def _collapsed(names: Iterable[str]) -> tuple[str, ...]:
    """Of calls that are made over and over in turn, the first two turns: a loop over a thousand units is not a thousand points,
    and what goes wrong in its second turn is what goes wrong in its third."""
    path: list[str] = []
    for name in names:
        path.append(name)
        for size in range(1, _LONGEST_TURN + 1):
            if len(path) >= 3 * size and path[-size:] == path[-2 * size : -size] == path[-3 * size : -2 * size]:
                del path[-size:]
                break
    return tuple(path)


def same_as(point: Point, fault: Fault) -> tuple[Point, Fault]:
    """The trial that stands for this one. A crash leaves behind what the calls before it changed and nothing else, so of the
    crashes between two changes one is tried: the one right after a change, or the one ahead of everything."""
    if fault not in (Fault.CRASH_BEFORE, Fault.CRASH_AFTER):
        return point, fault
    changed = len(point.path) - (fault is Fault.CRASH_BEFORE)
    while changed and is_read(_operation(point.path[changed - 1])):
        changed -= 1
    if not changed:
        return replace(point, path=point.path[:1]), Fault.CRASH_BEFORE
    return replace(point, path=point.path[:changed]), Fault.CRASH_AFTER


def share() -> int:
    """One in so many trials is made, and at every crash point at least one; 1: all of them."""
    return max(1, int(os.environ.get("FAULT_SHARE", "1")))


def is_of_share(point: Point, fault: Fault) -> bool:
    """Whether this run makes the trial. The same share makes the same trials."""
    point, fault = same_as(point, fault)
    drawn = int(hashlib.sha256(f"{point}{point.path}".encode()).hexdigest()[:8], 16)
    if point.path and fault is OF_EVERY_CALL[drawn % len(OF_EVERY_CALL)]:
        return True
    return (drawn // len(OF_EVERY_CALL) + list(Fault).index(fault)) % share() == 0


def _operation(name: str) -> str:
    return name.partition(".")[2].partition("(")[0]


@dataclass(frozen=True)
class Trial:
    """A fault at a point. ``behind`` is the trial in whose aftermath the point was found, if no undisturbed run passes it."""

    point: Point
    fault: Fault
    scenario: str
    behind: str = ""

    @property
    def id(self) -> str:
        return hashlib.sha256(f"{self.point}{self.point.path}{self.fault}".encode()).hexdigest()[:24]

    def __str__(self) -> str:
        after = f", after {self.behind}" if self.behind else ""
        return f"{self.fault} at {self.point} in '{self.scenario}'{after}"


@dataclass
class Outcome:
    """What came of a trial."""

    trial: Trial
    violations: list[str] = field(default_factory=list)
    # What it took, in seconds of processor time.
    seconds: float = 0.0


class Survey:
    """What was found and tried, as files: trials run in processes of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("found", "claimed", "done"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.undisturbed: set[Point] = set()
        self.rooms: set[str] = set()

    def find(self, point: Point) -> None:
        """Notes a point, whoever comes to it first."""
        name = hashlib.sha256(f"{point}{point.path}".encode()).hexdigest()[:24]
        path = self._folder / "found" / name
        if not path.exists():
            _write(path, asdict(point))

    def claim(self, trial: Trial) -> bool:
        """Whether this trial is the caller's to make; every trial of this run's share is made once."""
        if not is_of_share(trial.point, trial.fault):
            return False
        try:
            with (self._folder / "claimed" / trial.id).open("x") as file:
                json.dump(asdict(trial), file)
        except FileExistsError:
            return False
        return True

    def finish(self, outcome: Outcome) -> None:
        _write(self._folder / "done" / outcome.trial.id, asdict(outcome))

    @property
    def points(self) -> set[Point]:
        return {_point(json.loads(path.read_text())) for path in (self._folder / "found").iterdir()}

    @property
    def outcomes(self) -> list[Outcome]:
        """Of every trial that came to an end."""
        return [_outcome(json.loads(path.read_text())) for path in sorted((self._folder / "done").iterdir())]

    @property
    def lost(self) -> list[Trial]:
        """Trials that were begun and never came to an end."""
        done = {path.name for path in (self._folder / "done").iterdir()}
        begun = [path for path in sorted((self._folder / "claimed").iterdir()) if path.name not in done]
        return [_trial(json.loads(path.read_text())) for path in begun]


def _write(path: Path, value: Any) -> None:
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(value))
    draft.rename(path)


def _point(row: dict[str, Any]) -> Point:
    return Point(row["room"], row["trigger"], tuple(row["path"]))


def _outcome(row: dict[str, Any]) -> Outcome:
    return Outcome(_trial(row["trial"]), row["violations"], row["seconds"])


def _trial(row: dict[str, Any]) -> Trial:
    return Trial(_point(row["point"]), Fault(row["fault"]), row["scenario"], row["behind"])
