"""Rows of a training job in the deployed tables, and what became of them."""

from typing import Any

from gpupool import aws, bootstrap
from gpupool.ids import unit_id
from gpupool.jobs.model import Job
from gpupool.ledger.model import EntryKind, Transfer, hold
from gpupool.units.model import Unit
from tests.contract.both import a_submitted_job
from tests.factories import CUSTOMER_ID, NOW, SINGLE, a_grant, a_package, an_admission, an_upload
from tests.support.work import JOB_ID


def given_a_job(*, package: str | None = SINGLE, **changes: Any) -> Job:
    """A submitted job with its hold and its uploads in use."""
    ports = bootstrap.ports()
    for upload in (an_upload(), a_package(package)):
        ports.uploads.add(upload)
    ports.ledger.post(a_grant())
    job = a_submitted_job(**changes)
    price = hold(customer_id=CUSTOMER_ID, job_id=job.id, amount=job.quote.credits, at=NOW)
    ports.transitions.submit(job, hold=price, admission=an_admission(ports.limits, job), record=None)
    return job


def given_a_running_job(*units: Unit, **changes: Any) -> Job:
    job = given_a_job(**changes)
    ports = bootstrap.ports()
    ports.jobs.begin_planning(job.id)
    ports.units.add_all(units)
    ports.jobs.begin_running(job.id, units_total=len(units), at=NOW)
    return the_job()


def the_job() -> Job:
    job = bootstrap.ports().jobs.get(JOB_ID)
    assert job is not None
    return job


def the_unit(index: int = 0) -> Unit:
    unit = bootstrap.ports().units.get(unit_id(JOB_ID, index))
    assert unit is not None
    return unit


def entries(kind: EntryKind) -> list[Transfer]:
    page = bootstrap.ports().ledger.page(CUSTOMER_ID, limit=100, key=None)
    return [entry for entry in page.items if entry.kind is kind]


def bells(pool_and_class: str = "public-cpu") -> list[str]:
    """Bodies of what rings in one queue; they are hidden afterwards."""
    url = bootstrap.ports().settings.queue_urls[pool_and_class]
    answer = aws.sqs().receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [message["Body"] for message in answer.get("Messages", [])]


def sequence_number(event: dict[str, Any], at: int) -> str:
    return str(event["Records"][at]["dynamodb"]["SequenceNumber"])


def told() -> list[tuple[str, dict[str, Any]]]:
    """The job's timeline: types and what they say."""
    page = bootstrap.ports().events.page(JOB_ID, limit=100, key=None)
    return [(str(event.type), event.data) for event in page.items]
