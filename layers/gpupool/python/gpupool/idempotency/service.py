"""Creating something once per idempotency key, for what one conditional put can create.

The record is written first, the thing second, under the id that the record names. Whoever dies in between leaves a record
whose thing is missing: the repeat finds neither and creates it under the same id.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gpupool.clock import Clock
from gpupool.errors import Conflict
from gpupool.idempotency.model import IdempotencyRecord, check_format, fingerprint, record_id
from gpupool.idempotency.store import IdempotencyStore
from gpupool.ids import new_id


@dataclass(frozen=True, slots=True)
class Claim:
    """The id to create under. ``repeated``: the key was used before, so look for the thing before creating it."""

    resource_id: str
    repeated: bool


class Once:
    def __init__(self, *, store: IdempotencyStore, clock: Clock, new_id: Callable[[], str] = new_id) -> None:
        self._new_id = new_id
        self._store = store
        self._clock = clock

    def claim(self, customer_id: str, route: str, key: str | None, request: Mapping[str, Any]) -> Claim:
        """The id that this request creates under; a request without a key gets a fresh one and is never a repeat.

        IDEMPOTENCY_KEY_INVALID for a malformed key, IDEMPOTENCY_CONFLICT for a key that was used with another request.
        """
        if key is None:
            return Claim(self._new_id(), repeated=False)
        name = record_id(customer_id=customer_id, route=route, key=check_format(key))
        mine = IdempotencyRecord(name, fingerprint(request), self._new_id(), self._clock.now())
        first = self._store.reserve(mine)
        if first.fingerprint != mine.fingerprint:
            raise key_reused()
        return Claim(first.resource_id, repeated=first.resource_id != mine.resource_id)


def key_reused() -> Conflict:
    return Conflict(
        "This Idempotency-Key was used for another request; use a new key for a new request.",
        code="IDEMPOTENCY_CONFLICT",
        field="Idempotency-Key",
    )
