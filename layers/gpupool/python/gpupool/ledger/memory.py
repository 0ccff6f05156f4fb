"""The ledger in memory."""

from collections.abc import Iterator
from datetime import datetime

from gpupool.errors import AlreadyExists, StaleWrite
from gpupool.ledger.model import Balance, Transfer, deltas_of, moment_key, time_key
from gpupool.pages import Key, Page
from gpupool.world import World


class MemoryLedgerStore:
    def __init__(self, world: World) -> None:
        self._world = world

    def balance(self, customer_id: str) -> Balance:
        return self._world.balances.get(customer_id, Balance(customer_id))

    def post(self, transfer: Transfer) -> None:
        with self._world.lock:
            if self.is_posted(transfer):
                raise AlreadyExists(transfer.id)
            if not self.covers(transfer):
                raise StaleWrite(transfer.id)
            self.write(transfer)

    def page(self, customer_id: str, *, limit: int, key: Key | None) -> Page[Transfer]:
        with self._world.lock:
            rows = sorted(self._world.transfers.get(customer_id, {}).values(), key=time_key, reverse=True)
        before = key["time_key"] if key else None
        rows = [row for row in rows if before is None or time_key(row) < before]
        last = rows[limit - 1] if len(rows) > limit else None
        next_key = {"customer_id": customer_id, "entry_id": last.id, "time_key": time_key(last)} if last else None
        return Page(tuple(rows[:limit]), next_key)

    def between(self, customer_id: str, *, start: datetime, end: datetime | None) -> Iterator[Transfer]:
        with self._world.lock:
            rows = sorted(self._world.transfers.get(customer_id, {}).values(), key=time_key)
        first, behind = moment_key(start), moment_key(end) if end else None
        return (row for row in rows if time_key(row) >= first and (behind is None or time_key(row) < behind))

    def is_posted(self, transfer: Transfer) -> bool:
        return transfer.id in self._world.transfers.get(transfer.customer_id, {})

    def covers(self, transfer: Transfer) -> bool:
        """Whether no account would fall below zero."""
        balance, deltas = self.balance(transfer.customer_id), deltas_of(transfer)
        return balance.available + deltas.available >= 0 and balance.held + deltas.held >= 0

    def write(self, transfer: Transfer) -> None:
        """Writes without asking; for transitions, which check before they write."""
        balance, deltas = self.balance(transfer.customer_id), deltas_of(transfer)
        self._world.transfers.setdefault(transfer.customer_id, {})[transfer.id] = transfer
        self._world.balances[transfer.customer_id] = Balance(
            customer_id=transfer.customer_id,
            available=balance.available + deltas.available,
            held=balance.held + deltas.held,
            spent=balance.spent + deltas.spent,
            granted=balance.granted + deltas.granted,
            latest=time_key(transfer),
        )
