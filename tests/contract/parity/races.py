"""Operations that meet on few rows, and what must be true of the end whatever their order was."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from gpupool.idempotency.model import IdempotencyRecord
from gpupool.ids import unit_id
from gpupool.jobs.model import Job, JobStatus, Quote
from gpupool.ledger.model import EntryKind, debit, hold, release
from gpupool.limits.decide import admit
from gpupool.limits.model import Allowance, Bucket, Quota
from gpupool.transitions.store import Ending
from gpupool.units.model import Unit, UnitStatus
from gpupool.uploads.model import UploadKind
from gpupool.wire.units import Lease, Progress
from tests.contract.both import MemoryStores, Stores, a_submitted_job
from tests.contract.parity.alike import plain
from tests.contract.parity.jobs import added_up
from tests.contract.parity.orders import Hand, History, Operation
from tests.factories import CUSTOMER_ID, NOW, a_grant, a_lease, a_unit, an_upload
from tests.support.work import JOB_ID

LATER = NOW + timedelta(seconds=60)


class Claims:
    """Three units, of which one waits for two others, and one is at work."""

    tables = ("units",)
    units = tuple(unit_id(JOB_ID, index) for index in range(3))

    @staticmethod
    def begin(stores: Stores) -> None:
        waiting = a_unit(1, status=UnitStatus.WAITING, open_needs=frozenset({7, 8}))
        working = a_unit(2, status=UnitStatus.RUNNING, attempt=1, lease=a_lease(deadline=LATER))
        stores.units.add_all((a_unit(0), waiting, working))

    @staticmethod
    def read(stores: Stores) -> Any:
        return stores.units.all_of(JOB_ID)

    @staticmethod
    def operations(thread: int) -> st.SearchStrategy[Operation]:
        units = st.sampled_from(Claims.units)
        return st.one_of(
            units.map(_look),
            units.map(lambda which: _write(which, f"claim by {thread}", _claimed(f"token of {thread}"))),
            units.map(lambda which: _write(which, "cancel", {"status": UnitStatus.CANCELLED, "lease": None})),
            units.map(lambda which: _write(which, f"complete by {thread}", _completed(thread))),
            st.builds(_renew, units, st.sampled_from(["token-1", f"token of {thread}"]), st.just(thread)),
            st.builds(_open, units, st.sampled_from([7, 8])),
        )

    @staticmethod
    def check(stores: Stores, histories: Sequence[History]) -> None:
        """No version was made twice."""
        written = [made.answer[1] for history in histories for made in history if made.answer[0] == "Unit" and not made.looked]
        made_versions = Counter((unit["id"], unit["version"]) for unit in written)
        assert all(times == 1 for times in made_versions.values()), made_versions


def _claimed(token: str) -> dict[str, Any]:
    return {"status": UnitStatus.RUNNING, "attempt": 1, "lease": a_lease(token=token, deadline=LATER)}


def _completed(thread: int) -> dict[str, Any]:
    return {"status": UnitStatus.COMPLETED, "lease": None, "completed_by": f"{thread}"}


def _look(which: str) -> Operation:
    def act(stores: Stores, hand: Hand) -> Unit | None:
        hand[which] = stores.units.get(which)
        return hand[which]

    return Operation(f"look at {which[-1]}", act)


def _held(stores: Stores, hand: Hand, which: str) -> Unit:
    """What the thread has read last, or the unit as it was planned."""
    return hand.get(which) or a_unit(int(which[-1]))


def _write(which: str, what: str, changes: dict[str, Any]) -> Operation:
    def act(stores: Stores, hand: Hand) -> Unit:
        return stores.units.replace(replace(_held(stores, hand, which), **changes))

    return Operation(f"{what} over {which[-1]}", act)


def _renew(which: str, token: str, thread: int) -> Operation:
    def act(stores: Stores, hand: Hand) -> Unit | None:
        expires, progress = NOW + timedelta(seconds=50 + thread * 20), Progress(stage=f"{thread}")
        lease = Lease(attempt=1, lease_token=token)
        return stores.units.renew(which, lease=lease, now=NOW, expires_at=expires, progress=progress)

    return Operation(f"renew {which[-1]} with {token}", act)


def _open(which: str, need: int) -> Operation:
    def act(stores: Stores, hand: Hand) -> Unit:
        return stores.units.open_edge(which, need=need, now=NOW)

    def takes_out(stores: MemoryStores, hand: Hand) -> Unit:
        """While another need is taken out, it is not the last one; who asks looks whether the unit waits for nothing now."""
        unit = stores.world.units[JOB_ID][which]
        return stores.units.write(replace(unit, open_needs=unit.open_needs - {need}, version=unit.version + 1))

    return Operation(f"open {need} of {which[-1]}", act, (takes_out,))


class Money:
    """A customer with a running job of two units, credits for one more and a half, and a quota of two jobs."""

    tables = ("jobs", "progress", "ledger", "limits", "idempotency", "uploads")
    job = "job-0"
    allowance = Allowance(live_jobs=2, units_per_day=3)
    bucket = Bucket("two", 2, 60)

    @staticmethod
    def begin(stores: Stores) -> None:
        stores.ledger.post(a_grant(amount=25))
        stores.submitted(id=Money.job, quote=Quote(10))

    @staticmethod
    def read(stores: Stores) -> Any:
        return (
            stores.ledger.balance(CUSTOMER_ID),
            stores.ledger.page(CUSTOMER_ID, limit=50, key=None).items,
            stores.jobs.page(CUSTOMER_ID, status=None, limit=50, key=None).items,
            stores.limits.quota(CUSTOMER_ID),
            [stores.idempotency.get(f"key-{number}") for number in range(2)],
            [stores.uploads.page(CUSTOMER_ID, kind, limit=5, key=None).items for kind in UploadKind],
        )

    @staticmethod
    def operations(thread: int) -> st.SearchStrategy[Operation]:
        return st.one_of(
            st.builds(_submit, st.sampled_from([f"job-{thread + 1}", "job-9"]), st.sampled_from([None, "key-0"])),
            st.builds(_settle, st.integers(0, 1), st.sampled_from([4, 6])),
            st.builds(_close, st.sampled_from([JobStatus.COMPLETED, JobStatus.CANCELLED])),
            st.sampled_from([_LOOK_AT_JOB, _LOOK_AT_QUOTA, _BALANCE, _TAKE, _DELETE]),
            st.builds(_grant, st.integers(0, 1)),
            st.builds(_move, st.just(thread)),
            st.builds(_reserve, st.integers(0, 1), st.just(thread)),
        )

    @staticmethod
    def check(stores: Stores, histories: Sequence[History]) -> None:
        """The books, the jobs, the quota and the uploads tell the same; what happens once was answered once."""
        entries = stores.ledger.page(CUSTOMER_ID, limit=50, key=None).items
        jobs = stores.jobs.page(CUSTOMER_ID, status=None, limit=50, key=None).items
        live = {job.id for job in jobs if job.is_live}
        assert stores.ledger.balance(CUSTOMER_ID) == added_up(CUSTOMER_ID, list(entries))
        for job in jobs:
            debits = [entry.amount for entry in entries if entry.job_id == job.id and entry.kind is EntryKind.DEBIT]
            assert (job.units_completed, job.credits_spent) == (len(debits), sum(debits))
        assert stores.limits.quota(CUSTOMER_ID).live_jobs == live
        for kind in UploadKind:
            assert all(upload.live_jobs == live for upload in stores.uploads.page(CUSTOMER_ID, kind, limit=5, key=None).items)
        won = Counter(made.operation.name for history in histories for made in history if made.answer == plain(True))
        assert all(times == 1 for times in won.values()), won


def _submit(job_id: str, key: str | None) -> Operation:
    """As the service does, on the quota that was looked at last."""

    def act(stores: Stores, hand: Hand) -> Any:
        job = a_submitted_job(id=job_id, quote=Quote(10))
        quota = hand.get("quota") or Quota(CUSTOMER_ID, frozenset({Money.job}), NOW.date(), units_today=1)
        price = hold(customer_id=CUSTOMER_ID, job_id=job_id, amount=10, at=NOW)
        record = IdempotencyRecord(key, "f" * 64, job_id, NOW) if key else None
        admission = admit(quota, job_id=job_id, units=1, allowance=Money.allowance, now=NOW)
        return stores.transitions.submit(job, hold=price, admission=admission, record=record)

    return Operation(f"submit {job_id} with {key}", act)


def _settle(index: int, amount: int) -> Operation:
    unit = a_unit(index, id=unit_id(Money.job, index), job_id=Money.job)
    price = debit(customer_id=CUSTOMER_ID, job_id=Money.job, unit_id=unit.id, amount=amount, at=NOW)
    return Operation(f"settle {index}", lambda stores, hand: stores.transitions.settle(unit, price))


def _close(status: JobStatus) -> Operation:
    """Releases what was left when the job was looked at."""

    def act(stores: Stores, hand: Hand) -> bool:
        job: Job = hand.get("job") or a_submitted_job(id=Money.job, quote=Quote(10))
        rest = job.quote.credits - job.credits_spent
        back = release(customer_id=CUSTOMER_ID, job_id=job.id, amount=rest, at=LATER) if rest else None
        return stores.transitions.close(job, Ending(status, None, back, LATER))

    return Operation("close", act)


def _grant(number: int) -> Operation:
    return Operation(f"grant {number}", lambda stores, hand: stores.ledger.post(a_grant(grant_id=f"more-{number}", amount=10)))


def _move(thread: int) -> Operation:
    """The job's own moves, each thread at a time of its own."""
    at = NOW + timedelta(seconds=thread)

    def act(stores: Stores, hand: Hand) -> Any:
        hand["turn"] = hand.get("turn", 0) + 1
        if hand["turn"] == 1:
            return stores.jobs.begin_planning(Money.job)
        if hand["turn"] == 2:
            return stores.jobs.begin_running(Money.job, units_total=2, at=at)
        return stores.jobs.request_cancel(Money.job, at=at)

    return Operation(f"move by {thread}", act)


def _reserve(number: int, thread: int) -> Operation:
    record = IdempotencyRecord(f"key-{number}", f"{thread}" * 64, f"made by {thread}", NOW)
    return Operation(f"reserve {number} by {thread}", lambda stores, hand: stores.idempotency.reserve(record))


def _look_at_job(stores: Stores, hand: Hand) -> Job | None:
    hand["job"] = stores.jobs.get(Money.job)
    return hand["job"]


def _look_at_quota(stores: Stores, hand: Hand) -> Any:
    hand["quota"] = stores.limits.quota(CUSTOMER_ID)
    return hand["quota"]


_LOOK_AT_JOB = Operation("look at the job", _look_at_job)
_LOOK_AT_QUOTA = Operation("look at the quota", _look_at_quota)
_BALANCE = Operation("balance", lambda stores, hand: stores.ledger.balance(CUSTOMER_ID))
_TAKE = Operation("take", lambda stores, hand: stores.limits.take("ada", Money.bucket))
_DELETE = Operation("delete the dataset", lambda stores, hand: stores.uploads.mark_deleting(an_upload()))
