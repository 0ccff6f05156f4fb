"""Who has failed a unit lately: for a while it is to be left to other machines, told from the rows alone."""

from datetime import datetime, timedelta

from gpupool.units.model import LeaseState, Unit
from gpupool.wire.failures import Blame, FailureCode, blame_of

_PER_FAILURE = timedelta(minutes=2)


class Pauses:
    """Failures by the machine's own doing, and when the last of them was, by unit and machine."""

    def __init__(self) -> None:
        self._failures: dict[tuple[str, str], tuple[int, datetime]] = {}

    def written(self, before: Unit, after: Unit) -> None:
        """Notes an attempt that ended, unless it ended the unit: by a report, or because nobody heard of it any more."""
        lease = before.lease
        if lease is None or after.is_final or (after.lease is not None and after.lease.token == lease.token):
            return
        if after.completed_by == lease.token and after.failure is not None and after.queued_at is not None:
            self._note(after.id, lease, after.failure.code, after.queued_at)
        else:
            self._note(after.id, lease, FailureCode.LEASE_EXPIRED, lease.expires_at)

    def may_last(self, unit: Unit, node_id: str, *, at: datetime) -> bool:
        """Whether the machine would be too early at ``at``. A lease of its own that the row still has must have lapsed."""
        failures, last = self._failures.get((unit.id, node_id), (0, at))
        if unit.lease is not None and unit.lease.node_id == node_id:
            failures, last = failures + 1, unit.lease.expires_at
        return at < last + failures * _PER_FAILURE

    def _note(self, unit_id: str, lease: LeaseState, code: FailureCode, at: datetime) -> None:
        """A user's mistake says nothing of the machine, but for data that another machine may read otherwise. And an owner may
        want the machine back once."""
        if blame_of(code) is Blame.USER and code is not FailureCode.DATASET_MISMATCH:
            return
        place = (unit_id, lease.node_id)
        known = self._failures.get(place)
        first = 0 if code is FailureCode.NODE_DRAINED else 1
        self._failures[place] = (known[0] + 1 if known is not None else first, at)
