"""Accounts in memory."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from gpupool.accounts.model import ApiKey, Customer, Session, Ticket, email_key
from gpupool.errors import AlreadyExists, StaleWrite
from gpupool.pages import Key, Page
from gpupool.world import World


class MemoryAccountStore:
    def __init__(self, world: World) -> None:
        self._world = world

    def add_customer(self, customer: Customer, *, session: Session | None = None, ticket: Ticket | None = None) -> None:
        with self._world.lock:
            if self.customer_by_email(customer.email) is not None or customer.id in self._world.customers:
                raise AlreadyExists
            self._use_up(ticket)
            self._world.customers[customer.id] = customer
            self._begin(session)

    def customer(self, customer_id: str) -> Customer | None:
        return self._world.customers.get(customer_id)

    def customer_by_email(self, email: str) -> Customer | None:
        wanted = email_key(email)
        with self._world.lock:
            return next((found for found in self._world.customers.values() if email_key(found.email) == wanted), None)

    def update_customer(
        self,
        customer: Customer,
        *,
        session: Session | None = None,
        ended: Collection[str] = (),
        ticket: Ticket | None = None,
    ) -> None:
        with self._world.lock:
            known = self.customer(customer.id)
            if known is None or known.version != customer.version:
                raise StaleWrite
            self._use_up(ticket)
            changed = replace(known, password_hash=customer.password_hash, sessions=customer.sessions)
            self._world.customers[customer.id] = replace(changed, version=customer.version + 1)
            for token_sha256 in ended:
                self.remove_session(token_sha256)
            self._begin(session)

    def session(self, token_sha256: str) -> Session | None:
        return self._world.keys.get(f"session#{token_sha256}")

    def remove_session(self, token_sha256: str) -> None:
        self._world.keys.pop(f"session#{token_sha256}", None)

    def add_ticket(self, ticket: Ticket) -> None:
        self._world.keys[f"ticket#{ticket.token_sha256}"] = ticket

    def ticket(self, token_sha256: str) -> Ticket | None:
        return self._world.keys.get(f"ticket#{token_sha256}")

    def add_key(self, key: ApiKey) -> None:
        with self._world.lock:
            if self.key(key.lookup) is not None:
                raise AlreadyExists
            self._world.keys[f"apikey#{key.lookup}"] = key

    def key(self, lookup: str) -> ApiKey | None:
        return self._world.keys.get(f"apikey#{lookup}")

    def keys(self, customer_id: str, *, limit: int, key: Key | None) -> Page[ApiKey]:
        with self._world.lock:
            mine = [row for row in self._world.keys.values() if isinstance(row, ApiKey) and row.customer_id == customer_id]
        mine.sort(key=_position, reverse=True)
        before = (key["created_at"], key["pk"]) if key else None
        rows = [row for row in mine if before is None or _position(row) < before]
        last = rows[limit - 1] if len(rows) > limit else None
        next_key = dict(zip(("created_at", "pk"), _position(last), strict=True)) if last else None
        return Page(tuple(rows[:limit]), next_key)

    def revoke_key(self, lookup: str, *, customer_id: str, at: datetime) -> ApiKey:
        with self._world.lock:
            key = self.key(lookup)
            if key is None or key.customer_id != customer_id:
                raise StaleWrite
            revoked = replace(key, revoked_at=key.revoked_at or at)
            self._world.keys[f"apikey#{lookup}"] = revoked
            return revoked

    def _begin(self, session: Session | None) -> None:
        if session is not None:
            self._world.keys[f"session#{session.token_sha256}"] = session

    def _use_up(self, ticket: Ticket | None) -> None:
        """Before anything is written: a ticket that is gone stops the rest."""
        if ticket is not None and self._world.keys.pop(f"ticket#{ticket.token_sha256}", None) is None:
            raise StaleWrite


def _position(key: ApiKey) -> tuple[str, str]:
    return key.created_at.isoformat(timespec="microseconds"), f"apikey#{key.lookup}"
