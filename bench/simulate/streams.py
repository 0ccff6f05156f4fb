"""Tables with streams, in memory: every write of a row leaves a record, which is delivered in the order of its row."""

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Change:
    """One stream record: a row before (None when it is new) and after a write."""

    before: Any
    after: Any


class Rows(dict[str, Any]):
    """Rows of a table that has a stream."""

    def __init__(self, written: Callable[[Change], None]) -> None:
        super().__init__()
        self._written = written

    def __setitem__(self, key: str, row: Any) -> None:
        before = self.get(key)
        super().__setitem__(key, row)
        self._written(Change(before, row))

    def setdefault(self, key: str, row: Any = None) -> Any:
        if key not in self:
            self[key] = row
        return self[key]


class Partitions(dict[str, dict[str, Any]]):
    """Partitions of rows, each made when it is first written to."""

    def __init__(self, written: Callable[[Change], None]) -> None:
        super().__init__()
        self._written = written

    def setdefault(self, key: str, _default: dict[str, Any] | None = None) -> dict[str, Any]:
        if key not in self:
            self[key] = Rows(self._written)
        return self[key]


class Stream:
    """What was written and not delivered yet, in order per row; and what was delivered, which may come again."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Change]] = defaultdict(deque)
        self.delivered: list[Change] = []

    def written(self, change: Change) -> None:
        self._waiting[change.after.id].append(change)

    @property
    def rows(self) -> list[str]:
        """Rows with something to deliver."""
        return sorted(row for row, changes in self._waiting.items() if changes)

    def pending(self, row: str) -> list[Change]:
        """What was written to one row and not delivered yet."""
        return list(self._waiting[row])

    def take(self, row: str) -> Change:
        change = self._waiting[row].popleft()
        self.delivered.append(change)
        return change
