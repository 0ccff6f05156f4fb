"""Idempotency records in memory."""

from gpupool.clock import Clock
from gpupool.idempotency.model import IdempotencyRecord
from gpupool.world import World


class MemoryIdempotencyStore:
    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock

    def get(self, record_id: str) -> IdempotencyRecord | None:
        record = self._world.idempotency.get(record_id)
        return record if record and record.expires_at > self._clock.now() else None

    def reserve(self, record: IdempotencyRecord) -> IdempotencyRecord:
        with self._world.lock:
            known = self.get(record.id)
            if known is None:
                self._world.idempotency[record.id] = record
            return known or record
