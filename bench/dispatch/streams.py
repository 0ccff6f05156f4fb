"""The streams of tables in memory, and which of their records reach a function."""

from collections import deque
from typing import Any

from gpupool.jobs.model import Job, JobStatus
from gpupool.units.decide import CLAIMED
from gpupool.units.model import Unit, UnitStatus

Change = tuple[Any, Any]
_TOLD = frozenset({UnitStatus.QUEUED, UnitStatus.COMPLETED, UnitStatus.FAILED, UnitStatus.REJECTED})


class Rows(dict[str, Any]):
    """Rows of a table with a stream, which gets every row before (None when it is new) and after a write."""

    def __init__(self, stream: deque[Change]) -> None:
        super().__init__()
        self._stream = stream

    def __setitem__(self, key: str, row: Any) -> None:
        self._stream.append((self.get(key), row))
        super().__setitem__(key, row)

    def setdefault(self, key: str, row: Any = None) -> Any:
        if key not in self:
            self[key] = row
        return self[key]


class Partitions(dict[str, dict[str, Any]]):
    """The partitions of a table with a stream, each made when it is first written to."""

    def __init__(self, stream: deque[Change]) -> None:
        super().__init__()
        self._stream = stream

    def setdefault(self, key: str, default: dict[str, Any] | None = None) -> dict[str, Any]:
        return super().setdefault(key, default or Rows(self._stream))


def reaches_function(before: Any, after: Any) -> bool:
    """As the filters of the event source mappings."""
    return _job_passes(before, after) if isinstance(after, Job) else _unit_passes(before, after)


def _job_passes(before: Job | None, after: Job) -> bool:
    """The many writes that count and park reach nobody."""
    if before is None or (after.is_live and after.cancel_requested_at is not None):
        return True
    started = (before.status, after.status) == (JobStatus.PLANNING, JobStatus.RUNNING)
    return started or (before.is_live and not after.is_live)


def _unit_passes(before: Unit | None, after: Unit) -> bool:
    """Waiting units and heartbeats reach nobody."""
    if after.status is UnitStatus.RUNNING:
        return after.progress_stage == CLAIMED
    if after.status is UnitStatus.CANCELLED:
        return before is not None and before.status is UnitStatus.RUNNING
    return after.status in _TOLD
