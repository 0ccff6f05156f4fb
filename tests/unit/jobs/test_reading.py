"""What a customer sees of its jobs, and that it sees nobody else's."""

from collections.abc import Callable

import pytest

from gpupool.errors import Conflict, NotFound
from gpupool.jobs.model import JobStatus
from gpupool.jobs.service import Jobs
from tests.factories import CUSTOMER_ID, dag
from tests.platform import Machine, Platform

CALLS: list[Callable[[Jobs, str, str], object]] = [
    lambda jobs, who, job: jobs.get(who, job),
    lambda jobs, who, job: jobs.cancel(who, job),
    lambda jobs, who, job: jobs.units(who, job, limit=10, key=None),
    lambda jobs, who, job: jobs.artifacts(who, job, limit=10, key=None),
    lambda jobs, who, job: jobs.events(who, job, limit=10, key=None),
    lambda jobs, who, job: jobs.download_url(who, job, f"{job}.00000.model.tar.gz"),
]


@pytest.mark.parametrize("call", CALLS)
def test_another_customers_job_is_as_absent_as_one_that_never_was(call: Callable[[Jobs, str, str], object]) -> None:
    platform = Platform()
    job = platform.submit()
    refusals = []
    for who, job_id in (("somebody-else", job.id), (CUSTOMER_ID, "no-such-job")):
        with pytest.raises(NotFound) as refused:
            call(platform.customer.jobs, who, job_id)
        refusals.append((refused.value.code, refused.value.message, refused.value.details))

    assert refusals[0] == refusals[1]
    assert refusals[0][0] == "JOB_NOT_FOUND"
    assert platform.job(job).cancel_requested_at is None


@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.CANCELLED])
def test_an_ended_job_cannot_be_cancelled(status: JobStatus) -> None:
    platform = Platform()
    job = platform.submit()
    if status is JobStatus.CANCELLED:
        platform.cancel(job)
    Machine(platform).work_off()

    with pytest.raises(Conflict) as refused:
        platform.cancel(job)

    assert refused.value.code == "JOB_NOT_CANCELLABLE"
    assert str(status) in refused.value.message


def test_a_download_is_a_link_for_fifteen_minutes() -> None:
    platform = Platform(package=dag(()))
    job = platform.submit()
    platform.settle()
    machine = Machine(platform)
    grant = machine.take()
    machine.complete(grant, outputs=(machine.upload(grant, b"the model"),))
    platform.settle()
    artifact = platform.customer.jobs.artifacts(CUSTOMER_ID, job.id, limit=10, key=None).items[0]

    url, expires_at = platform.customer.jobs.download_url(CUSTOMER_ID, job.id, artifact.id)

    assert (expires_at - platform.clock.now()).total_seconds() == 900
    assert platform.ports.objects.download(url) == b"the model"


def test_an_artifact_belongs_to_its_job() -> None:
    platform = Platform(package=dag(()))
    job, other = platform.submit(), platform.submit()
    platform.settle()
    machine = Machine(platform)
    for _ in range(2):
        grant = machine.take()
        machine.complete(grant, outputs=(machine.upload(grant, b"model"),))
    platform.settle()
    mine = platform.customer.jobs.artifacts(CUSTOMER_ID, job.id, limit=10, key=None).items[0]

    with pytest.raises(NotFound) as refused:
        platform.customer.jobs.download_url(CUSTOMER_ID, other.id, mine.id)

    assert refused.value.code == "ARTIFACT_NOT_FOUND"


def test_jobs_are_listed_newest_first_and_by_status() -> None:
    platform = Platform()
    jobs = [platform.submit() for _ in range(3)]
    platform.cancel(jobs[1])
    platform.settle()

    def ids(status: JobStatus | None) -> list[str]:
        return [job.id for job in platform.customer.jobs.list(CUSTOMER_ID, status=status, limit=10, key=None).items]

    assert ids(None) == [jobs[2].id, jobs[1].id, jobs[0].id]
    assert ids(JobStatus.RUNNING) == [jobs[2].id, jobs[0].id]
    assert ids(JobStatus.CANCELLED) == [jobs[1].id]
    assert ids(JobStatus.COMPLETED) == []
    assert platform.customer.jobs.list("somebody-else", status=None, limit=10, key=None).items == ()
