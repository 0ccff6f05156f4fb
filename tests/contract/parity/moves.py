"""Any sequence of the moves of a job between its submit and its end, with both of these and units that are paid in between."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st

from gpupool.jobs.model import JobStatus, ReleaseWindow
from gpupool.jobs.store import JobStore
from tests.contract.parity.alike import operation
from tests.contract.parity.jobs import FAILURE, Jobs, customers, job_ids
from tests.factories import CUSTOMER_ID


class Moves(Jobs):
    ports = {"jobs": JobStore}

    time_passes, submit, settle = Jobs.time_passes, Jobs.submit, Jobs.settle

    def begin(self, kind: int) -> None:
        """Most sequences begin with two jobs, and half of these with one that is planned."""
        super().begin(2)
        if kind:
            self.submit("job-2", CUSTOMER_ID, "dataset-1", credits=4, key=None, room=(9, 9), fresh=True)
        if kind == 2:
            self.begin_planning("job-1")

    @operation(back=st.integers(0, 2), status=st.sampled_from([JobStatus.COMPLETED, JobStatus.FAILED]), sure=st.integers(0, 3))
    def end(self, back: int, status: JobStatus, sure: int) -> None:
        """Seldom: little moves after it."""
        if sure == 0:
            self.close(back, status, None)

    @operation(often=2, job_id=job_ids)
    def begin_planning(self, job_id: str) -> None:
        self.both(lambda side: side.jobs.begin_planning(job_id))

    @operation(often=2, job_id=job_ids, units=st.integers(1, 3), after=st.integers(0, 3))
    def begin_running(self, job_id: str, units: int, after: int) -> None:
        at = self.now() + timedelta(seconds=after)
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

    @operation(job_id=job_ids, low=st.integers(0, 3), high=st.none() | st.integers(0, 3), met=st.frozensets(st.integers(0, 2)))
    def note_window(self, job_id: str, low: int, high: int | None, met: frozenset[int]) -> None:
        window = ReleaseWindow(
            low, low, low + 1, whole_at=self.now(), high=high, held=frozenset({"cpu"}), stragglers=met, met=met
        )
        self.both(lambda side: side.jobs.note_window(job_id, window))

    @operation(job_id=job_ids, generation=st.integers(0, 3))
    def hand_over(self, job_id: str, generation: int) -> None:
        self.both(lambda side: side.jobs.hand_over(job_id, generation=generation))

    @operation(job_id=job_ids, sure=st.integers(0, 5))
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
