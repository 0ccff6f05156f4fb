"""Units in memory."""

from bisect import bisect_right
from dataclasses import replace
from datetime import datetime

from gpupool.errors import StaleWrite
from gpupool.ids import job_of
from gpupool.pages import Key, Page
from gpupool.units.edges import Gate, gate_of
from gpupool.units.model import Unit, UnitStatus
from gpupool.wire.units import Lease, Progress
from gpupool.world import World


class MemoryUnitStore:
    def __init__(self, world: World) -> None:
        self._world = world

    def add_all(self, units: tuple[Unit, ...]) -> None:
        with self._world.lock:
            for unit in units:
                self._world.units.setdefault(unit.job_id, {}).setdefault(unit.id, unit)

    def get(self, unit_id: str) -> Unit | None:
        with self._world.lock:
            return self._world.units.get(job_of(unit_id), {}).get(unit_id)

    def all_of(self, job_id: str) -> tuple[Unit, ...]:
        with self._world.lock:
            rows = self._world.units.get(job_id, {})
            return tuple(rows[key] for key in sorted(rows))

    def page(self, job_id: str, *, limit: int, key: Key | None) -> Page[Unit]:
        with self._world.lock:
            rows = self._world.units.get(job_id, {})
            ids = sorted(rows)
            start = bisect_right(ids, key["unit_id"]) if key else 0
            units = tuple(rows[each] for each in ids[start : start + limit])
            more = start + limit < len(ids)
        return Page(units, {"job_id": job_id, "unit_id": units[-1].id} if more else None)

    def replace(self, unit: Unit) -> Unit:
        with self._world.lock:
            stored = self.get(unit.id)
            if stored is None or stored.version != unit.version:
                raise StaleWrite(unit.id)
            return self.write(replace(unit, version=unit.version + 1))

    def renew(self, unit_id: str, *, lease: Lease, now: datetime, expires_at: datetime, progress: Progress) -> Unit | None:
        with self._world.lock:
            unit = self.get(unit_id)
            if unit is None or unit.status is not UnitStatus.RUNNING or unit.lease is None:
                return None
            if (unit.attempt, unit.lease.token) != (lease.attempt, lease.lease_token) or unit.lease.deadline <= now:
                return None
            renewed = replace(
                unit,
                lease=replace(unit.lease, expires_at=min(expires_at, unit.lease.deadline)),
                progress_fraction=unit.progress_fraction if progress.fraction is None else progress.fraction,
                progress_stage=progress.stage,
                metrics=dict(progress.metrics),
                version=unit.version + 1,
            )
            return self.write(renewed)

    def open_edge(self, unit_id: str, *, need: int, now: datetime) -> Unit:
        with self._world.lock:
            unit = self._world.units[job_of(unit_id)][unit_id]
            rest = replace(unit, open_needs=unit.open_needs - {need}, version=unit.version + 1)
            if unit.status is UnitStatus.WAITING and unit.open_needs == {need}:
                rest = replace(rest, status=UnitStatus.QUEUED, queued_at=now)
            return self.write(rest)

    def add_gates(self, gates: tuple[Gate, ...]) -> None:
        with self._world.lock:
            for gate in gates:
                self._world.gates.setdefault((gate.unit_id, gate.number), gate.open_needs)

    def open_gate(self, unit_id: str, *, need: int) -> bool:
        with self._world.lock:
            place = (unit_id, gate_of(need))
            self._world.gates[place] = self._world.gates[place] - {need}
            return not self._world.gates[place]

    def write(self, unit: Unit) -> Unit:
        """Puts a row as it is; for transitions, which check before they write."""
        self._world.units[unit.job_id][unit.id] = unit
        return unit
