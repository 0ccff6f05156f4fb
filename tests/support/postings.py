"""Any life of an account: transfers that a ledger takes one after the other, each at its time."""

from datetime import UTC, datetime, timedelta
from itertools import accumulate

from hypothesis import strategies as st

from gpupool.ledger.model import Balance, EntryKind, Transfer, debit, deltas_of, grant, hold, release, time_key

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)

# What is asked for, how much of it, and how many minutes after the one before.
Wish = tuple[EntryKind, int, int]
wishes = st.lists(
    st.tuples(
        st.sampled_from([EntryKind.GRANT, EntryKind.HOLD, EntryKind.DEBIT, EntryKind.DEBIT, EntryKind.RELEASE]),
        st.integers(1, 500),
        st.one_of(st.just(0), st.integers(0, 3), st.integers(0, 9 * 1440)),
    ),
    max_size=25,
)


def life(asked: list[Wish], *, customer_id: str, until: datetime = NOW) -> list[Transfer]:
    """The transfers of ``asked``, the last one at ``until``, each for as much as its account has, in the order of time."""
    minutes = list(accumulate(gap for _, _, gap in asked))
    made: list[Transfer] = []
    balance = Balance(customer_id)
    for number, ((kind, amount, _), minute) in enumerate(zip(asked, minutes, strict=True)):
        covered = {EntryKind.GRANT: amount, EntryKind.HOLD: balance.available}.get(kind, balance.held)
        if not min(amount, covered):
            continue
        transfer = _transfer(kind, number, min(amount, covered), customer_id, until - timedelta(minutes=minutes[-1] - minute))
        made.append(transfer)
        balance = following(balance, transfer)
    return made


def following(balance: Balance, transfer: Transfer) -> Balance:
    deltas = deltas_of(transfer)
    accounts = {name: getattr(balance, name) + getattr(deltas, name) for name in ("available", "held", "spent", "granted")}
    return Balance(balance.customer_id, **accounts)


def forward(transfers: list[Transfer], customer_id: str) -> list[tuple[Transfer, Balance]]:
    """Each transfer with what it leaves, added up from nothing in the order of time."""
    ordered = sorted(transfers, key=time_key)
    balances = list(accumulate(ordered, following, initial=Balance(customer_id)))
    return list(zip(ordered, balances[1:], strict=True))


def _transfer(kind: EntryKind, number: int, amount: int, customer_id: str, at: datetime) -> Transfer:
    job = f"job-{number}"
    if kind is EntryKind.GRANT:
        return grant(customer_id=customer_id, grant_id=str(number), amount=amount, at=at, note=f'"=1+{number}", ü\r\n')
    if kind is EntryKind.HOLD:
        return hold(customer_id=customer_id, job_id=job, amount=amount, at=at)
    if kind is EntryKind.DEBIT:
        unit = f"{job}.{number:05d}"
        return debit(customer_id=customer_id, job_id=job, unit_id=unit, amount=amount, at=at, note=f"train_{number:03d}")
    return release(customer_id=customer_id, job_id=job, amount=amount, at=at)
