"""A live job's units: what is wrong with them, and its repair through the moves and acts that everybody uses."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from gpupool.clock import Clock
from gpupool.dispatch.queue import Queue
from gpupool.errors import StaleWrite
from gpupool.jobs.model import Job
from gpupool.recovery import decide
from gpupool.recovery.model import Evidence, Finding, Found
from gpupool.units.model import Unit, UnitStatus
from gpupool.units.store import UnitStore
from gpupool.workflow.outbox import Outbox
from gpupool.workflow.settle import Settlement

UNITS_PER_LOOK = 100
_RUNG = frozenset({UnitStatus.QUEUED, UnitStatus.RUNNING})


class UnitCheck:
    """Looks at ``UNITS_PER_LOOK`` units of a job: one query, and no write unless something is found.

    A larger job is looked at window by window, from round to round. Whether a completed unit was paid shows only where all
    units are in sight; the larger job's own tending sees to the others, and its end pays every unit that was completed.
    """

    def __init__(self, *, units: UnitStore, queue: Queue, settlement: Settlement, outbox: Outbox, clock: Clock) -> None:
        self._units = units
        self._queue = queue
        self._settlement = settlement
        self._outbox = outbox
        self._clock = clock

    def look(self, job: Job, *, round_: int, waiting: Callable[[str], int]) -> Iterator[Found]:
        """Findings, each repaired by the time it is told. ``waiting``: messages of a queue, as ``Queue.waiting``."""
        start, whole = decide.window(job, round_=round_, size=UNITS_PER_LOOK)
        page = self._units.page(job.id, limit=UNITS_PER_LOOK, key=start)
        known = {unit.index: unit for unit in page.items}
        now = self._clock.now()
        for unit in page.items:
            evidence = self._evidence(unit, job, known, waiting)
            finding = decide.finding_of(unit, job, now, evidence)
            if finding is not None and self._moved(unit, job):
                yield Found(finding, unit.id, job.id)
        if whole and page.next_key is None:
            yield from self._settle(job, page.items, now)

    def _evidence(self, unit: Unit, job: Job, known: Mapping[int, Unit], waiting: Callable[[str], int]) -> Evidence:
        rings = unit.status in _RUNG
        return Evidence(
            bells=waiting(self._queue.queue_url(unit.pool, unit.capability)) if rings else None,
            ready_since=decide.ready_since(unit, job, known),
        )

    def _moved(self, unit: Unit, job: Job) -> bool:
        """Whether the row was repaired; one that changed since it was read was not forgotten."""
        moved = decide.moved(unit, job, now=self._clock.now())
        if moved is None:
            return False
        try:
            self._units.replace(moved)
        except StaleWrite:
            return False
        return True

    def _settle(self, job: Job, units: tuple[Unit, ...], now: datetime) -> Iterator[Found]:
        """Does again what follows from completed units, and tells of those for which it had not been done."""
        suspects = decide.unpaid(job, units, now=now)
        waited_for = decide.awaited(units, frozenset(unit.index for unit in suspects) - job.fan_outs)
        for unit in suspects:
            paid_now = self._settlement.settle(unit)
            evidence = Evidence(paid=not paid_now, awaited=unit.index in waited_for)
            finding: Finding | None = decide.finding_of(unit, job, now, evidence)
            if finding is not None:
                self._outbox.unit_written(None, unit)
                yield Found(finding, unit.id, job.id)
