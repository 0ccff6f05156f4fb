"""What units left behind is listed because they ended, whatever else became of that, and of the attempt that counted alone."""

import pytest

from gpupool.errors import Conflict, Gone
from gpupool.jobs.model import Job, JobStatus
from gpupool.units.artifacts import artifacts_of
from gpupool.units.model import Unit
from gpupool.wire.failures import FailureCode
from gpupool.wire.units import FailRequest, UnitGrant
from gpupool.workflow.model import Outcome
from tests.factories import CUSTOMER_ID, dag
from tests.platform import Machine, Platform, lease_of, model_file
from tests.unit.workflow.test_repairs import lose


def begun(*needs: tuple[int, ...]) -> tuple[Platform, Job, Machine]:
    platform = Platform(package=dag(*needs))
    job = platform.submit()
    platform.settle()
    return platform, job, Machine(platform)


def listed(platform: Platform, job: Job) -> dict[str, str]:
    """What the customer sees: names and what is under them."""
    jobs = platform.customer.jobs
    found = jobs.artifacts(CUSTOMER_ID, job.id, limit=100, key=None).items
    urls = {each.id: jobs.download_url(CUSTOMER_ID, job.id, each.id)[0] for each in found}
    return {name: platform.ports.objects.download(url).decode() for name, url in urls.items()}


def complete(machine: Machine, grant: UnitGrant, body: bytes) -> None:
    machine.complete(grant, outputs=(machine.upload(grant, body),))


def test_a_result_is_listed_before_its_record_was_delivered() -> None:
    platform, job, machine = begun(())
    grant = machine.take()
    assert listed(platform, job) == {}

    complete(machine, grant, b"a model")

    assert listed(platform, job) == {f"{grant.unit_id}.model.tar.gz": "a model"}


def test_a_dependent_is_handed_what_its_need_left() -> None:
    platform, _, machine = begun((), (0,))
    complete(machine, machine.take(), b"a model")
    platform.settle()

    ((output,),) = [need.outputs for need in machine.take().needs]

    assert (output.name, output.download.sha256) == ("model.tar.gz", model_file(b"a model").sha256)


def test_an_attempt_that_lost_its_lease_leaves_nothing() -> None:
    platform, job, late = begun(())
    lost = late.take()
    file = late.upload(lost, b"too late")
    platform.tick(600)
    other = Machine(platform)
    grant = other.take()
    assert grant.unit_id == lost.unit_id

    with pytest.raises((Conflict, Gone)):
        late.complete(lost, outputs=(file,))
    platform.settle()
    assert listed(platform, job) == {}

    complete(other, grant, b"in time")
    platform.settle()
    with pytest.raises((Conflict, Gone)):
        late.complete(lost, outputs=(file,))
    platform.settle()
    assert listed(platform, job) == {f"{grant.unit_id}.model.tar.gz": "in time"}


def test_an_ended_job_lists_all_that_its_units_left() -> None:
    platform, job, machine = begun((), (), ())
    first, second = machine.take(), machine.take()
    complete(machine, first, b"a model")
    fail(platform, machine, second, b"a log")
    for grant in (first, second):
        lose(platform, grant.unit_id)

    platform.workflow.close(job.id, Outcome.FAILED)

    assert platform.job(job).status is JobStatus.FAILED
    assert listed(platform, job) == {f"{first.unit_id}.model.tar.gz": "a model", f"{second.unit_id}.log.txt": "a log"}


def test_a_failed_unit_leaves_its_log() -> None:
    platform, job, machine = begun(())
    grant = machine.take()
    fail(platform, machine, grant, b"a log")

    platform.settle()

    assert platform.job(job).status is JobStatus.FAILED
    assert listed(platform, job) == {f"{grant.unit_id}.log.txt": "a log"}


def fail(platform: Platform, machine: Machine, grant: UnitGrant, log: bytes) -> None:
    """For good, with a log."""
    file = machine.upload(grant, log, name="log.txt")
    request = FailRequest(lease=lease_of(grant), code=FailureCode.NO_MODEL, message="It wrote none.", outputs=[file])
    platform.node.leases.fail(machine.worker, grant.unit_id, request)


def test_artifacts_derived_twice_are_the_same() -> None:
    platform, _, machine = begun(())
    grant = machine.take()
    complete(machine, grant, b"a model")
    unit: Unit = platform.unit(grant.unit_id)
    platform.tick(60)

    (artifact,) = artifacts_of(unit)

    assert artifacts_of(unit) == (artifact,)
    assert (artifact.created_at, artifact.key) == (unit.finished_at, f"jobs/{unit.job_id}/{unit.id}/1/model.tar.gz")
