"""Any sequence of operations on what a job touches: uploads, credits, the quota, idempotency keys, jobs and ends of units."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from gpupool.errors import Throttled
from gpupool.idempotency.model import IdempotencyRecord
from gpupool.idempotency.store import IdempotencyStore
from gpupool.ids import unit_id
from gpupool.jobs.model import Job, JobStatus, Quote
from gpupool.jobs.store import JobStore
from gpupool.ledger.model import Balance, EntryKind, Transfer, debit, deltas_of, grant, hold, release
from gpupool.ledger.store import LedgerStore
from gpupool.limits.decide import admit
from gpupool.limits.model import Allowance, Bucket, Quota
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
# Few enough that sequences come to every bound.
ALLOWANCE = Allowance(live_jobs=2, units_per_day=6)
gaps = st.sampled_from([0.000001, 0.25, 0.75, 1, 20, 59.5, 3_600, 86_399.5, 86_400])
customers = st.sampled_from([CUSTOMER_ID, CUSTOMER_ID, CUSTOMER_ID, "another-customer"])
job_ids = st.sampled_from(["job-1", "job-1", *JOBS])
amounts = st.sampled_from([1, 4, 10, 31])


class Jobs(StoresPlayer):
    ports = {
        "jobs": JobStore,
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
            self.submit("job-1", CUSTOMER_ID, "dataset-1", credits=10, key=None, units=2, fresh=True)
            self.begin_planning("job-1")

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
        credits=amounts,
        key=st.sampled_from([None, None, *KEYS]),
        units=st.sampled_from([1, 2, 5]),
        fresh=st.sampled_from([True, True, False]),
    )
    def submit(self, job_id: str, customer: str, dataset: str, credits: int, key: str | None, units: int, fresh: bool) -> None:
        now = self.now()
        plain = a_submitted_job(id=job_id, customer_id=customer, quote=Quote(credits), created_at=now)
        job = replace(plain, dataset=replace(plain.dataset, id=dataset))
        old = [quota for quota in self.quotas if quota.customer_id == customer and not fresh]
        quota = old[0] if old else self.both(lambda side: side.limits.quota(customer))
        try:
            admission = admit(quota, job_id=job_id, units=units, allowance=ALLOWANCE, now=now)
        except Throttled:
            return
        price = hold(customer_id=customer, job_id=job_id, amount=credits, at=now)
        record = IdempotencyRecord(f"{customer}#{key}", "f" * 64, job_id, now) if key else None
        answer = self.both(lambda side: side.transitions.submit(job, hold=price, admission=admission, record=record))
        if not isinstance(answer, Refused):
            self.jobs.append(job)

    @operation(often=2, back=st.integers(0, 4), index=st.integers(0, 2), amount=st.sampled_from([1, 1, 4, 31]))
    def settle(self, back: int, index: int, amount: int) -> None:
        job = self.job(back)
        unit = replace(self.unit(job.id, index), customer_id=job.customer_id)
        of = {"customer_id": job.customer_id, "job_id": job.id, "unit_id": unit.id}
        price = debit(**of, amount=amount, at=self.now())
        self.both(lambda side: side.transitions.settle(unit, price))

    @operation(
        back=st.integers(0, 4),
        status=st.sampled_from([JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED]),
        amount=st.sampled_from([None, None, 0, 31]),
    )
    def close(self, back: int, status: JobStatus, amount: int | None) -> None:
        """Releases what is left of the hold as the service does, or nothing, or what nobody holds."""
        job = self.job(back)
        known: Job | None = self.both(lambda side: side.jobs.get(job.id))
        rest = known.quote.credits - known.credits_spent if amount is None and known else amount
        back_to = {"customer_id": job.customer_id, "job_id": job.id, "at": self.now()}
        failure = FAILURE if status is JobStatus.FAILED else None
        ending = Ending(status, failure, release(**back_to, amount=rest) if rest else None, self.now())
        self.both(lambda side: side.transitions.close(known or job, ending))

    # --- the moves of a job in between

    @operation(often=2, job_id=job_ids)
    def begin_planning(self, job_id: str) -> None:
        self.both(lambda side: side.jobs.begin_planning(job_id))

    @operation(often=2, job_id=job_ids, units=st.integers(1, 3))
    def begin_running(self, job_id: str, units: int) -> None:
        at = self.now()
        self.both(lambda side: side.jobs.begin_running(job_id, units_total=units, at=at))

    @operation(job_id=job_ids, token=st.sampled_from(["a", "b"]), entered=st.integers(0, 3))
    def park(self, job_id: str, token: str, entered: int) -> None:
        self.both(lambda side: side.jobs.park(job_id, task_token=token, entered=f"{entered:05d}"))

    @operation(job_id=job_ids, note=st.sampled_from(["fan out", "fan out", "fanned out", "failure"]), index=st.integers(0, 2))
    def note(self, job_id: str, note: str, index: int) -> None:
        if note == "fan out":
            self.both(lambda side: side.jobs.note_fan_out(job_id, index))
        elif note == "fanned out":
            self.both(lambda side: side.jobs.fanned_out(job_id, frozenset({index, 1})))
        else:
            self.both(lambda side: side.jobs.note_failure(job_id, replace(FAILURE, attempt=index)))

    @operation(job_id=job_ids, generation=st.integers(0, 3))
    def hand_over(self, job_id: str, generation: int) -> None:
        self.both(lambda side: side.jobs.hand_over(job_id, generation=generation))

    @operation(job_id=job_ids, sure=st.integers(0, 2))
    def begin_closing(self, job_id: str, sure: int) -> None:
        """Seldom: nothing begins after it."""
        if sure == 0:
            self.both(lambda side: side.jobs.begin_closing(job_id))

    @operation(job_id=job_ids, limit=st.integers(1, 3))
    def watch(self, job_id: str, limit: int) -> None:
        self.both(lambda side: side.jobs.watched(limit=limit))
        self.both(lambda side: side.jobs.unwatch(job_id))

    @operation(job_id=job_ids)
    def request_cancel(self, job_id: str) -> None:
        at = self.now()
        self.both(lambda side: side.jobs.request_cancel(job_id, at=at))

    @operation(
        job_id=job_ids,
        customer=customers,
        status=st.sampled_from([None, None, *JobStatus]),
        limit=st.integers(1, 2),
        start=st.booleans(),
    )
    def read_jobs(self, job_id: str, customer: str, status: JobStatus | None, limit: int, start: bool) -> None:
        self.both(lambda side: side.jobs.get(job_id))
        self.turn(
            f"jobs of {customer}, {status}",
            lambda side, key: side.jobs.page(customer, status=status, limit=limit, key=key),
            start=start,
        )

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
