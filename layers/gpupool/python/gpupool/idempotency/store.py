"""Where idempotency records are kept. What a transition creates is written with its record, by the transition itself."""

from typing import Protocol

from gpupool.idempotency.model import IdempotencyRecord


class IdempotencyStore(Protocol):
    def get(self, record_id: str) -> IdempotencyRecord | None:
        """The record, unless it has expired."""

    def reserve(self, record: IdempotencyRecord) -> IdempotencyRecord:
        """Writes the record unless its id holds one that has not expired; the one that is there after that."""
