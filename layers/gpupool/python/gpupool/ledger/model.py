"""Accounts and transfers. Amounts are whole credits, the smallest unit there is."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class EntryKind(StrEnum):
    """What a transfer does, as from -> to."""

    GRANT = "grant"  # outside -> available
    HOLD = "hold"  # available -> held
    DEBIT = "debit"  # held -> spent
    RELEASE = "release"  # held -> available


@dataclass(frozen=True, slots=True)
class Balance:
    """One customer's accounts; ``available + held + spent == granted`` at every moment.

    ``latest`` is the ``time_key`` of the transfer that was posted last, empty when that is not known. No two transfers share
    one, so two readings with the same ``latest`` have no transfer between them.
    """

    customer_id: str
    available: int = 0
    held: int = 0
    spent: int = 0
    granted: int = 0
    latest: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Transfer:
    """One immutable entry. ``id`` decides what can happen only once: a second write of it is a failed condition."""

    id: str
    customer_id: str
    kind: EntryKind
    amount: int
    created_at: datetime
    job_id: str | None = None
    unit_id: str | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.amount < 0:
            raise ValueError(f"transfer {self.id} of {self.amount} credits would run backwards")


@dataclass(frozen=True, slots=True)
class Deltas:
    """How a transfer changes each account."""

    available: int = 0
    held: int = 0
    spent: int = 0
    granted: int = 0


_DELTAS: dict[EntryKind, Deltas] = {
    EntryKind.GRANT: Deltas(available=1, granted=1),
    EntryKind.HOLD: Deltas(available=-1, held=1),
    EntryKind.DEBIT: Deltas(held=-1, spent=1),
    EntryKind.RELEASE: Deltas(held=-1, available=1),
}


def deltas_of(transfer: Transfer) -> Deltas:
    """The change of each account; they add up to zero against ``granted``."""
    sign = _DELTAS[transfer.kind]
    amount = transfer.amount
    return Deltas(sign.available * amount, sign.held * amount, sign.spent * amount, sign.granted * amount)


@dataclass(frozen=True, slots=True)
class Line:
    """A transfer and the accounts as it left them."""

    transfer: Transfer
    after: Balance


@dataclass(frozen=True, slots=True)
class Books:
    """The accounts of one moment, and every transfer since another one that led there, oldest first."""

    balance: Balance
    transfers: tuple[Transfer, ...]


def time_key(transfer: Transfer) -> str:
    """Its text order is the order of entries in time; the id tells those of one moment apart."""
    return f"{moment_key(transfer.created_at)}#{transfer.id}"


def moment_key(at: datetime) -> str:
    """Sorts behind the ``time_key`` of whatever was before ``at``, and ahead of those at it and after it."""
    return f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"


def grant(*, customer_id: str, grant_id: str, amount: int, at: datetime, note: str = "") -> Transfer:
    return Transfer(f"grant#{grant_id}", customer_id, EntryKind.GRANT, amount, at, note=note)


def hold(*, customer_id: str, job_id: str, amount: int, at: datetime) -> Transfer:
    return Transfer(f"hold#{job_id}", customer_id, EntryKind.HOLD, amount, at, job_id=job_id)


def debit(*, customer_id: str, job_id: str, unit_id: str, amount: int, at: datetime, note: str = "") -> Transfer:
    """The price of a completed unit. Its id knows nothing of attempts, so no retry can charge twice."""
    return Transfer(f"debit#{unit_id}", customer_id, EntryKind.DEBIT, amount, at, job_id=job_id, unit_id=unit_id, note=note)


def release(*, customer_id: str, job_id: str, amount: int, at: datetime) -> Transfer:
    return Transfer(f"release#{job_id}", customer_id, EntryKind.RELEASE, amount, at, job_id=job_id)
