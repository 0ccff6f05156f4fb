"""Where idempotency records are kept. They are written by transitions, together with what they stand for."""

from typing import Protocol

from gpupool.idempotency.model import IdempotencyRecord


class IdempotencyStore(Protocol):
    def get(self, record_id: str) -> IdempotencyRecord | None:
        """The record, unless it has expired."""
