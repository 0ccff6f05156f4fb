"""What becomes of a bell that a machine has heard: who is sent away and why, and for how long nobody else hears it."""

from collections import Counter
from datetime import datetime, timedelta

from bench.simulate.deployment import Deployment
from bench.simulate.fleet import Home
from bench.simulate.loop import CLOCKS_DIFFER, Loop
from bench.simulate.violations import expect
from gpupool.dispatch.memory import Received
from gpupool.units import inputs
from gpupool.units.decide import mark_of
from gpupool.units.model import Unit, UnitStatus
from gpupool.wire.units import Doorway

# Of a unit that the machine cannot do now, others are to hear soon.
_HEARD_WITHIN = timedelta(seconds=15)
_A_LITTLE = timedelta(seconds=2)


class Hearing:
    def __init__(self, loop: Loop, deployment: Deployment) -> None:
        self._loop = loop
        self._deployment = deployment
        self._needless: Counter[str] = Counter()

    def check_refused(self, home: Home, bell: Received, code: str) -> None:
        unit = self._deployment.world.units[bell.bell.job_id][bell.bell.unit_id]
        if code == "UNIT_GONE":
            expect(unit.is_final, "only of a unit that has ended nobody is needed", (unit.id, unit.status))
        if code == "UNIT_NOT_SUITABLE":
            self._check_unsuitable(home, unit)
        if code == "UNIT_LEASED":
            self._check_own(home, bell, unit)
        if not self._deployment.watch.is_calm:
            return
        if code in ("UNIT_GONE", "UNIT_LEASED"):
            self._check_needless(unit)
        seen_at = self._deployment.queue.seen_at(bell.doorway)
        if code == "UNIT_GONE":
            expect(seen_at is None, "nobody hears again of a unit that needs nobody", unit.id)
        if code == "UNIT_NOT_SUITABLE" and seen_at is not None:
            late = seen_at - self._loop.clock.moment
            expect(late <= _HEARD_WITHIN, "others hear soon what one machine cannot do", (unit.id, late))

    def check_hidden(self, unit_id: str, doorway: Doorway | None, *, until: datetime | None) -> None:
        """As long as a lease lasts nobody hears of its unit, and then somebody does."""
        seen_at = self._deployment.queue.seen_at(doorway) if doorway is not None and self._deployment.watch.is_calm else None
        if seen_at is not None and until is not None:
            expect(abs(seen_at - until) <= _A_LITTLE, "a bell is silent while its unit is leased", (unit_id, seen_at, until))

    def check_silenced(self, unit_id: str, doorway: Doorway | None) -> None:
        if doorway is not None and self._deployment.watch.is_calm:
            expect(self._deployment.queue.seen_at(doorway) is None, "a reported unit's bell is gone", unit_id)

    def _check_own(self, home: Home, bell: Received, unit: Unit) -> None:
        """Whose claim was granted, and who was never told, may claim again. Asked where claims are alone."""
        lease = unit.lease
        if lease is None or self._loop.crowding or lease.expires_at <= self._loop.clock.moment + CLOCKS_DIFFER:
            return
        own = (home.machine.worker.node_id, mark_of(bell.doorway))
        expect((lease.node_id, lease.bell) != own, "a claim whose answer was lost may be repeated", (unit.id, home.number))

    def _check_needless(self, unit: Unit) -> None:
        """Nobody hears a bell in vain, but of a cancelled unit, or of one that waited so long that it was rung for again."""
        excused = unit.status is UnitStatus.CANCELLED or unit.rung_at is not None
        expect(excused, "a bell is heard until somebody answers it", (unit.id, unit.status))
        if unit.is_final and not self._deployment.buried[unit.id]:
            self._needless[unit.id] += 1
            rung = self._deployment.watch.rung[unit.id]
            expect(self._needless[unit.id] <= rung, "nobody hears again of a unit that needs nobody", (unit.id, rung))

    def _check_unsuitable(self, home: Home, unit: Unit) -> None:
        """Only for want of room, for needs that it cannot read, or after it failed the unit is a machine sent away."""
        worker, work = home.machine.worker, unit.work
        small = work.required_disk_mb > worker.disk_free_mb or work.required_vram_mb > worker.vram_mb
        wide = not home.machine.pages and len(unit.needs) > inputs.NEEDS_PER_PAGE
        at = self._loop.clock.moment - CLOCKS_DIFFER
        paused = self._deployment.watch.pauses.may_last(unit, worker.node_id, at=at)
        expect(small or wide or paused, "a machine that can do the work may have it", (unit.id, home.number))
