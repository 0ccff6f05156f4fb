"""Any sequence of operations on what a job takes and gives back: uploads, credits, room in the quota, idempotency keys."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from gpupool.idempotency.model import IdempotencyRecord
from gpupool.idempotency.store import IdempotencyStore
from gpupool.ids import unit_id
from gpupool.jobs.model import Job, JobStatus, Quote
from gpupool.ledger.model import Balance, EntryKind, Transfer, debit, deltas_of, grant, hold, release
from gpupool.ledger.store import LedgerStore
from gpupool.limits.decide import admit
from gpupool.limits.model import Admission, Allowance, Bucket, Quota
from gpupool.limits.store import LimitStore
from gpupool.transitions.store import Ending, Transitions, Wanted
from gpupool.units.model import Failure, Unit
from gpupool.uploads.model import Upload, UploadKind, UploadStatus
from gpupool.uploads.store import UploadStore
from gpupool.wire.failures import Blame, FailureCode
from tests.contract.both import Stores, a_submitted_job
from tests.contract.parity.alike import Refused, StoresPlayer, all_pages, operation
from tests.factories import CUSTOMER_ID, a_unit, an_upload
from tests.support.work import some_work

CUSTOMERS = (CUSTOMER_ID, "another-customer")
JOBS = ("job-1", "job-2", "job-3")
DATASETS = ("dataset-1", "dataset-2")
UPLOADS = [(UploadKind.DATASET, each) for each in DATASETS] + [(UploadKind.TRAINING_PACKAGE, "package-1")]
KEYS = ("key-1", "key-2")
BUCKETS = (Bucket("three", 3, 60), Bucket("seven", 7, 1))
FAILURE = Failure(FailureCode.NO_MODEL, Blame.USER, "It wrote no model.", "unit", 1, 0, "tail")
# More than sequences come to: the bounds of an admission are chosen, at what there is and beyond.
PLENTY = Allowance(live_jobs=1_000, units_per_day=1_000)
gaps = st.sampled_from([0.000001, 0.25, 0.75, 1, 20, 59.5, 3_600, 86_399.5, 86_400])
customers = st.sampled_from([CUSTOMER_ID, CUSTOMER_ID, CUSTOMER_ID, "another-customer"])
job_ids = st.sampled_from(["job-1", "job-1", *JOBS])
amounts = st.sampled_from([1, 4, 10, 31])
# Some credits, all that the account has, or one more than that.
shares = st.sampled_from([1, 1, 4, "all", "one more"])
Share = int | str


class Jobs(StoresPlayer):
    ports = {
        "ledger": LedgerStore,
        "limits": LimitStore,
        "idempotency": IdempotencyStore,
        "uploads": UploadStore,
        "transitions": Transitions,
    }
    tables = ("jobs", "progress", "ledger", "limits", "idempotency", "uploads")

    def __init__(self, *sides: Stores) -> None:
        super().__init__(*sides)
        self.jobs: list[Job] = []
        self.quotas: list[Quota] = []

    def begin(self, kind: int) -> None:
        """Most sequences begin with a customer who may submit at once, or has done so."""
        if kind:
            for which in UPLOADS:
                self.add_upload(which, CUSTOMER_ID, UploadStatus.PENDING if which[1] == "dataset-2" else UploadStatus.READY)
            self.grant("first", CUSTOMER_ID, 60)
        if kind == 2:
            self.submit("job-1", CUSTOMER_ID, "dataset-1", credits=10, key=None, room=(9, 9), fresh=True)

    def readable(self, side: Stores) -> Any:
        found: list[Any] = [side.jobs.get(job) for job in JOBS]
        for customer in CUSTOMERS:
            found += [
                side.ledger.balance(customer),
                all_pages(lambda key, customer=customer: side.ledger.page(customer, limit=3, key=key)),
                all_pages(lambda key, customer=customer: side.jobs.page(customer, status=None, limit=2, key=key)),
                [side.jobs.page(customer, status=status, limit=10, key=None).items for status in JobStatus],
                [side.uploads.page(customer, kind, limit=10, key=None).items for kind in UploadKind],
                side.limits.quota(customer),
                [side.idempotency.get(f"{customer}#{key}") for key in KEYS],
            ]
        return [*found, side.jobs.watched(limit=10)]

    @operation(seconds=gaps)
    def time_passes(self, seconds: float) -> None:
        self.advance(seconds)

    # --- uploads

    @operation(
        which=st.sampled_from(UPLOADS),
        customer=customers,
        status=st.sampled_from([UploadStatus.PENDING, UploadStatus.PENDING, UploadStatus.READY]),
    )
    def add_upload(self, which: tuple[UploadKind, str], customer: str, status: UploadStatus) -> None:
        upload = an_upload(kind=which[0], id=which[1], customer_id=customer, status=status, finalized_at=None)
        self.both(lambda side: side.uploads.add(upload))

    @operation(
        which=st.sampled_from(UPLOADS),
        customer=customers,
        step=st.sampled_from(["ready", "deleting", "remove"]),
        manifest=st.sampled_from([None, {"entry": "train.py", "parameters": {"rate": 0.5, "epochs": 3}, "units": []}]),
    )
    def move_upload(self, which: tuple[UploadKind, str], customer: str, step: str, manifest: Any) -> None:
        upload: Upload | None = self.both(lambda side: side.uploads.get(customer, *which))
        at = self.now()
        wanted = upload or an_upload(kind=which[0], id=which[1], customer_id=customer)
        if step == "ready":
            self.both(lambda side: side.uploads.mark_ready(wanted, at=at, manifest=manifest))
        elif step == "deleting":
            self.both(lambda side: side.uploads.mark_deleting(wanted))
        elif upload is None or upload.status is UploadStatus.DELETING:
            self.both(lambda side: side.uploads.remove(wanted))

    @operation(customer=customers, kind=st.sampled_from(UploadKind), limit=st.integers(1, 2), start=st.booleans())
    def list_uploads(self, customer: str, kind: UploadKind, limit: int, start: bool) -> None:
        name = f"{kind} of {customer}"
        self.turn(name, lambda side, key: side.uploads.page(customer, kind, limit=limit, key=key), start=start)

    # --- credits

    @operation(name=st.sampled_from(["first", "second", "third"]), customer=customers, amount=amounts)
    def grant(self, name: str, customer: str, amount: int) -> None:
        transfer = grant(customer_id=customer, grant_id=name, amount=amount, at=self.now(), note=name)
        self.both(lambda side: side.ledger.post(transfer))

    @operation(customer=customers, limit=st.integers(1, 3), start=st.booleans(), hours=st.integers(0, 30), end=st.booleans())
    def read_the_ledger(self, customer: str, limit: int, start: bool, hours: int, end: bool) -> None:
        now = self.now()
        since, until = now - timedelta(hours=hours), now if end else None
        self.both(lambda side: side.ledger.balance(customer))
        self.both(lambda side: list(side.ledger.between(customer, start=since, end=until)))
        self.turn(f"entries of {customer}", lambda side, key: side.ledger.page(customer, limit=limit, key=key), start=start)

    def check(self) -> None:
        """The books add up, on the side that is the model for the other."""
        for customer in CUSTOMERS:
            entries = all_pages(lambda key, customer=customer: self.sides[0].ledger.page(customer, limit=50, key=key))
            assert self.sides[0].ledger.balance(customer) == added_up(customer, entries)

    # --- limits and keys

    @operation(owner=customers, bucket=st.sampled_from(BUCKETS), times=st.integers(1, 4))
    def take(self, owner: str, bucket: Bucket, times: int) -> None:
        for _ in range(times):
            self.both(lambda side: side.limits.take(owner, bucket))

    @operation(customer=customers)
    def look_at_the_quota(self, customer: str) -> None:
        self.quotas.append(self.both(lambda side: side.limits.quota(customer)))

    @operation(
        customer=customers,
        live_jobs=st.sampled_from([None, None, 0, 1, 3]),
        units_per_day=st.sampled_from([None, None, 1, 9]),
    )
    def set_maxima(self, customer: str, **maxima: int | None) -> None:
        self.quotas.append(self.both(lambda side: side.limits.set_maxima(customer, **maxima)))

    @operation(customer=customers, key=st.sampled_from(KEYS), of=st.sampled_from(["a", "b"]))
    def reserve(self, customer: str, key: str, of: str) -> None:
        record = IdempotencyRecord(f"{customer}#{key}", of * 64, f"made-{of}", self.now())
        self.both(lambda side: side.idempotency.reserve(record))

    @operation(customer=customers, key=st.sampled_from(KEYS))
    def read_key(self, customer: str, key: str) -> None:
        self.both(lambda side: side.idempotency.get(f"{customer}#{key}"))

    # --- the transitions

    @operation(customer=customers, dataset=st.sampled_from(DATASETS), key=st.sampled_from([None, *KEYS]))
    def look(self, customer: str, dataset: str, key: str | None) -> None:
        wanted = Wanted(customer, dataset, "package-1", self.now(), f"{customer}#{key}" if key else None)
        self.quotas.append(self.both(lambda side: side.transitions.look(wanted)).quota)

    @operation(
        job_id=job_ids,
        customer=customers,
        dataset=st.sampled_from(["dataset-1", *DATASETS]),
        credits=shares,
        key=st.sampled_from([None, None, *KEYS]),
        room=st.sampled_from([(9, 9), (9, 9), (1, 0), (0, 0), (1, -1)]),
        fresh=st.sampled_from([True, True, False]),
    )
    def submit(
        self, job_id: str, customer: str, dataset: str, credits: Share, key: str | None, room: tuple[int, int], fresh: bool
    ) -> None:
        """With ``room`` for so many more jobs, and for so many more units than the job has, by the quota that is there."""
        now = self.now()
        price = hold(customer_id=customer, job_id=job_id, amount=self.amount(credits, customer, "available"), at=now)
        plain = a_submitted_job(id=job_id, customer_id=customer, quote=Quote(price.amount), created_at=now)
        job = replace(plain, dataset=replace(plain.dataset, id=dataset))
        quota: Quota = self.both(lambda side: side.limits.quota(customer))
        looked = [known for known in self.quotas if known.customer_id == customer and not fresh]
        admission = self.admission(looked[0] if looked else quota, quota, job_id, room)
        record = IdempotencyRecord(f"{customer}#{key}", "f" * 64, job_id, now) if key else None
        answer = self.both(lambda side: side.transitions.submit(job, hold=price, admission=admission, record=record))
        if not isinstance(answer, Refused):
            self.jobs.append(job)

    @operation(often=2, back=st.integers(0, 4), index=st.integers(0, 2), credits=shares)
    def settle(self, back: int, index: int, credits: Share) -> None:
        job = self.job(back)
        unit = replace(self.unit(job.id, index), customer_id=job.customer_id)
        of = {"customer_id": job.customer_id, "job_id": job.id, "unit_id": unit.id}
        price = debit(**of, amount=self.amount(credits, job.customer_id, "held"), at=self.now())
        self.both(lambda side: side.transitions.settle(unit, price))

    @operation(
        back=st.integers(0, 4),
        status=st.sampled_from([JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED]),
        credits=st.sampled_from([None, None, None, 0, "one more"]),
    )
    def close(self, back: int, status: JobStatus, credits: Share | None) -> None:
        """Releases what is left of the hold as the service does, or nothing, or what nobody holds."""
        job = self.job(back)
        known: Job | None = self.both(lambda side: side.jobs.get(job.id))
        left = max(0, known.quote.credits - known.credits_spent) if known else 0
        rest = left if credits is None else self.amount(credits, job.customer_id, "held")
        back_to = {"customer_id": job.customer_id, "job_id": job.id, "at": self.now()}
        failure = FAILURE if status is JobStatus.FAILED else None
        ending = Ending(status, failure, release(**back_to, amount=rest) if rest else None, self.now())
        self.both(lambda side: side.transitions.close(known or job, ending))

    def amount(self, share: Share, customer: str, account: str) -> int:
        has: int = getattr(self.sides[0].ledger.balance(customer), account)
        return {"all": max(1, has), "one more": has + 1}.get(share, share)

    def admission(self, looked: Quota, quota: Quota, job_id: str, room: tuple[int, int]) -> Admission:
        """As the service decides it on the quota that was looked at, with bounds by the one that is there now.

        The first job has room, and so have the units of a day's first one: the service itself refuses where that is too much.
        """
        free = replace(looked, max_live_jobs=None, max_units_per_day=None)
        decided = admit(free, job_id=job_id, units=2, allowance=PLENTY, now=self.now())
        used = 0 if decided.first_of_day else quota.units_today
        spare = max(0, room[1]) if decided.first_of_day else room[1]
        most_jobs = max(1, len(quota.live_jobs) + room[0])
        return replace(decided, max_live_jobs=most_jobs, max_units_per_day=used + 2 + spare)

    def job(self, back: int) -> Job:
        """One that was submitted, or, when it is 0 or there is none, the one that nobody has."""
        return self.jobs[-1 - back % len(self.jobs)] if back and self.jobs else a_submitted_job(id="nobody's job")

    def unit(self, job_id: str, index: int) -> Unit:
        return a_unit(index, id=unit_id(job_id, index), job_id=job_id, work=some_work(parameters={}))


def added_up(customer_id: str, entries: list[Transfer]) -> Balance:
    """What the entries come to."""
    deltas = [deltas_of(entry) for entry in entries]
    return Balance(
        customer_id,
        available=sum(each.available for each in deltas),
        held=sum(each.held for each in deltas),
        spent=sum(each.spent for each in deltas),
        granted=sum(entry.amount for entry in entries if entry.kind is EntryKind.GRANT),
    )
