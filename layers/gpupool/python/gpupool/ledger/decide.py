"""Balances of the past: from the accounts of today, transfers are undone one by one."""

from collections.abc import Iterable

from gpupool.ledger.model import Balance, Line, Transfer, deltas_of


def undone(balance: Balance, transfer: Transfer) -> Balance:
    """The accounts as they were before ``transfer``."""
    deltas = deltas_of(transfer)
    return Balance(
        customer_id=balance.customer_id,
        available=balance.available - deltas.available,
        held=balance.held - deltas.held,
        spent=balance.spent - deltas.spent,
        granted=balance.granted - deltas.granted,
    )


def before(balance: Balance, transfers: Iterable[Transfer]) -> Balance:
    """The accounts as they were before all of ``transfers``, in whatever order they come."""
    for transfer in transfers:
        balance = undone(balance, transfer)
    return balance


def walk_back(balance: Balance, newest_first: Iterable[Transfer]) -> tuple[tuple[Line, ...], Balance]:
    """Each transfer with the accounts as it left them, and the accounts as they were before all of them."""
    lines = []
    for transfer in newest_first:
        lines.append(Line(transfer, balance))
        balance = undone(balance, transfer)
    return tuple(lines), balance
