"""The life of a training job, one step per test. The whole platform runs in memory; ``tests.platform`` plays AWS and nodes."""

from gpupool.jobs.model import JobStatus
from gpupool.ledger.model import EntryKind
from gpupool.units.model import UnitStatus
from tests.factories import CUSTOMER_ID
from tests.platform import At, Machine, Platform


def states(platform: Platform, job_id: str) -> list[str]:
    return [str(unit.status) for unit in platform.ports.units.all_of(job_id)]


def test_submitting_holds_what_the_job_can_cost_at_most() -> None:
    platform = Platform(credits=1_000)

    job = platform.submit()

    balance = platform.ports.ledger.balance(CUSTOMER_ID)
    assert job.status is JobStatus.QUEUED
    assert (balance.available, balance.held) == (1_000 - job.quote.credits, job.quote.credits)


def test_the_written_job_starts_its_execution() -> None:
    platform = Platform()
    job = platform.submit()
    assert platform.executions == {}

    platform.deliver(job.id)

    assert platform.executions[job.id].at is At.PLAN


def test_planning_writes_the_units_that_wait_for_each_other() -> None:
    platform = Platform()
    job = platform.submit()
    platform.deliver(job.id)

    platform.step(platform.executions[job.id])

    units = platform.units(job)
    assert [unit.name for unit in units] == ["prepare", "train", "package"]
    assert [unit.needs for unit in units] == [(), (0,), (1,)]
    assert platform.job(job).status is JobStatus.RUNNING
    assert platform.job(job).units_total == 3


def test_advancing_releases_what_is_ready_and_waits() -> None:
    platform = Platform()
    job = platform.submit()
    platform.settle()

    assert states(platform, job.id) == ["queued", "waiting", "waiting"]
    assert platform.executions[job.id].at is At.WAITING


def test_a_queued_unit_rings_its_bell_and_a_machine_claims_it() -> None:
    platform = Platform()
    job = platform.submit()
    platform.settle()

    grant = Machine(platform).take()

    assert grant.unit_id == platform.units(job)[0].id
    assert grant.attempt == 1
    assert states(platform, job.id) == ["running", "waiting", "waiting"]


def test_a_heartbeat_keeps_the_lease_and_shows_progress() -> None:
    platform = Platform()
    platform.submit()
    platform.settle()
    machine = Machine(platform)
    grant = machine.take()
    platform.tick(50)

    answer = machine.heartbeat(grant, fraction=0.5, loss=0.7)

    unit = platform.unit(grant.unit_id)
    assert answer.units[0].verdict == "continue"
    assert answer.units[0].lease_expires_at > grant.lease_expires_at
    assert (unit.progress_fraction, unit.metrics) == (0.5, {"loss": 0.7})


def test_a_completed_unit_is_paid_and_opens_the_next() -> None:
    platform = Platform()
    job = platform.submit()
    platform.settle()
    machine = Machine(platform)
    grant = machine.take()

    machine.complete(grant)
    platform.settle()

    assert states(platform, job.id) == ["completed", "queued", "waiting"]
    assert [entry.unit_id for entry in platform.posted(EntryKind.DEBIT)] == [grant.unit_id]
    assert platform.job(job).units_completed == 1


def test_what_a_unit_uploads_becomes_its_artifact_and_its_dependents_input() -> None:
    platform = Platform()
    job = platform.submit()
    platform.settle()
    machine = Machine(platform)
    prepared = machine.take()
    model = machine.upload(prepared, b"a model")

    machine.complete(prepared, outputs=(model,))
    platform.settle()
    train = machine.take()

    page = platform.customer.jobs.artifacts(CUSTOMER_ID, job.id, limit=10, key=None)
    assert [(artifact.name, artifact.sha256) for artifact in page.items] == [(model.name, model.sha256)]
    assert [(need.unit_name, need.outputs[0].download.sha256) for need in train.needs] == [("prepare", model.sha256)]


def test_the_last_unit_completes_the_job_and_the_rest_of_the_hold_comes_back() -> None:
    platform = Platform(credits=1_000)
    job = platform.submit()

    assert Machine(platform).work_off() == 3

    ended = platform.job(job)
    balance = platform.ports.ledger.balance(CUSTOMER_ID)
    assert (ended.status, ended.units_completed, ended.failure) == (JobStatus.COMPLETED, 3, None)
    assert (balance.available, balance.held, balance.spent) == (1_000 - ended.credits_spent, 0, ended.credits_spent)
    assert platform.executions[job.id].at is At.ENDED
    platform.check_books()


def test_an_ended_job_leaves_no_bell_behind() -> None:
    platform = Platform()
    platform.submit()

    Machine(platform).work_off()

    assert platform.bells() == 0


def test_units_that_need_nothing_of_each_other_run_side_by_side() -> None:
    text = (
        '[package]\nentry = "train.py"\n[parameters]\nrate = 0.1\n[strategy]\nkind = "sweep"\n'
        '[sweep]\nobjective = "accuracy"\ngoal = "maximize"\ngrid = {rate = [0.1, 0.2, 0.3]}\n'
    )
    platform = Platform(package=text)
    job = platform.submit()
    platform.settle()
    machine = Machine(platform)
    machine.complete(machine.take())
    platform.settle()

    lanes = [machine.take() for _ in range(3)]

    assert {grant.parameters["rate"] for grant in lanes} == {0.1, 0.2, 0.3}
    for grant in lanes:
        machine.complete(grant)
    assert machine.work_off() == 1
    assert platform.job(job).status is JobStatus.COMPLETED
    assert all(unit.status is UnitStatus.COMPLETED for unit in platform.units(job))
