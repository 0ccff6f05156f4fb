"""Which events a row's write makes, and the sentences they are told in."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gpupool.clock import FixedClock
from gpupool.events.decide import credits_low, events_of_job, events_of_unit
from gpupool.events.memory import MemoryEventStore
from gpupool.events.model import Event, EventType
from gpupool.events.sentences import sentence
from gpupool.events.service import Announcer
from gpupool.idempotency.memory import MemoryIdempotencyStore
from gpupool.jobs.model import Job, JobStatus
from gpupool.ledger.memory import MemoryLedgerStore
from gpupool.units.model import Failure, Output, Unit, UnitStatus
from gpupool.wire.failures import Blame, FailureCode
from gpupool.wire.vocabulary import ArtifactKind
from gpupool.world import World
from tests.factories import CUSTOMER_ID, NOW, SHA256, a_grant, a_job, a_lease, a_unit

NEW = a_job(status=JobStatus.QUEUED, units_total=0, created_at=NOW)
RUNNING = replace(NEW, status=JobStatus.RUNNING, started_at=NOW, units_total=2)
CRASH = Failure(FailureCode.SCRIPT_FAILED, Blame.USER, "exit code 1\nsee the log.", a_unit().id, 1, 1, "Traceback")
QUEUED = a_unit(attempt=0, version=2)
CLAIMED = replace(
    QUEUED, status=UnitStatus.RUNNING, attempt=1, lease=a_lease(), node_name="node-0001", started_at=NOW, version=3
)


def kinds(events: tuple[Event, ...]) -> list[str]:
    return [str(event.type) for event in events]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (None, NEW, ["job.created"]),
        (NEW, replace(NEW, status=JobStatus.PLANNING), []),
        (replace(NEW, status=JobStatus.PLANNING), RUNNING, ["job.started"]),
        (RUNNING, RUNNING, []),
        (RUNNING, replace(RUNNING, task_token="t", units_completed=1), []),
        (RUNNING, replace(RUNNING, cancel_requested_at=NOW), ["job.cancel_requested"]),
        (replace(RUNNING, cancel_requested_at=NOW), replace(RUNNING, cancel_requested_at=NOW, task_token="t"), []),
        (RUNNING, replace(RUNNING, status=JobStatus.COMPLETED, finished_at=NOW), ["job.completed"]),
        (RUNNING, replace(RUNNING, status=JobStatus.CANCELLED, finished_at=NOW), ["job.cancelled"]),
        (NEW, replace(NEW, status=JobStatus.FAILED, finished_at=NOW, failure=CRASH), ["job.failed"]),
    ],
)
def test_a_job_tells_its_turns_and_nothing_else(before: Job | None, after: Job, told: list[str]) -> None:
    assert kinds(events_of_job(before, after)) == told


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (None, a_unit(status=UnitStatus.WAITING), []),
        (a_unit(status=UnitStatus.WAITING), QUEUED, ["unit.queued"]),
        (QUEUED, replace(QUEUED, rung_at=NOW), []),
        (QUEUED, CLAIMED, ["unit.started"]),
        (CLAIMED, replace(CLAIMED, progress_fraction=0.5, version=4), []),
        (CLAIMED, replace(CLAIMED, attempt=2, version=5), ["unit.retried", "unit.started"]),
        (CLAIMED, replace(QUEUED, attempt=1, failure=CRASH), ["unit.retried"]),
        (CLAIMED, replace(CLAIMED, status=UnitStatus.COMPLETED, finished_at=NOW), ["unit.completed"]),
        (CLAIMED, replace(CLAIMED, status=UnitStatus.FAILED, finished_at=NOW), ["unit.failed"]),
        (QUEUED, replace(QUEUED, status=UnitStatus.FAILED, finished_at=NOW), ["unit.failed"]),
        (CLAIMED, replace(CLAIMED, status=UnitStatus.REJECTED, finished_at=NOW), ["unit.failed"]),
        (CLAIMED, replace(CLAIMED, status=UnitStatus.CANCELLED, finished_at=NOW), ["unit.cancelled"]),
        (QUEUED, replace(QUEUED, status=UnitStatus.CANCELLED, finished_at=NOW), []),
    ],
)
def test_a_unit_tells_its_turns_and_nothing_else(before: Unit | None, after: Unit, told: list[str]) -> None:
    assert kinds(events_of_unit(before, after)) == told
    assert events_of_unit(before, after) == events_of_unit(before, after)
    assert not set(kinds(events_of_unit(after, after)))


def test_a_retry_names_the_failure_of_the_attempt_that_ended() -> None:
    (told,) = events_of_unit(CLAIMED, replace(QUEUED, attempt=1, failure=CRASH, queued_at=NOW + timedelta(seconds=9)))

    assert told.at == NOW + timedelta(seconds=9)
    assert told.data["failure"] == {
        "code": "SCRIPT_FAILED",
        "blame": "user",
        "message": "exit code 1\nsee the log.",
        "exit_code": 1,
    }
    assert sentence(told) == ("Attempt 1 of train_000 failed with SCRIPT_FAILED: exit code 1 see the log. It is tried again.")


def test_a_lapse_is_not_blamed_on_the_failure_of_an_earlier_attempt() -> None:
    second = replace(CLAIMED, attempt=2, failure=CRASH, node_name="node-0002", version=7)

    (requeued,) = events_of_unit(second, replace(second, status=UnitStatus.QUEUED, lease=None, version=8))
    retried, started = events_of_unit(second, replace(second, attempt=3, node_name="node-0003", version=8))

    for told in (requeued, retried):
        assert (told.data["attempt"], told.data["node_name"]) == (2, "node-0002")
        assert told.data["failure"]["code"] == "LEASE_EXPIRED"
    assert (started.data["attempt"], started.data["node_name"]) == (3, "node-0003")


def test_an_end_tells_what_was_left_behind() -> None:
    outputs = (Output("model.tar.gz", ArtifactKind.MODEL, 7, SHA256), Output("log.txt", ArtifactKind.LOGS, 3, SHA256))
    done = replace(CLAIMED, status=UnitStatus.COMPLETED, finished_at=NOW, credits=4, outputs=outputs, version=9)

    completed, ready = events_of_unit(CLAIMED, done)

    assert (completed.data["credits"], ready.type) == (4, EventType.ARTIFACT_READY)
    assert ready.data["artifacts"][0] == {"id": f"{done.id}.model.tar.gz", "kind": "model", "name": "model.tar.gz"}
    assert sentence(ready) == "train_000 left model.tar.gz, log.txt."
    assert completed.id != ready.id


def test_an_end_is_the_same_event_when_its_row_was_written_again() -> None:
    ended = replace(CLAIMED, status=UnitStatus.COMPLETED, lease=None, finished_at=NOW, credits=4, version=4)

    assert events_of_unit(None, replace(ended, version=7)) == events_of_unit(CLAIMED, ended)


def test_a_failed_job_names_its_unit_and_its_cause() -> None:
    failed = replace(RUNNING, status=JobStatus.FAILED, finished_at=NOW, failure=CRASH, units_completed=1, credits_spent=3)

    (told,) = events_of_job(RUNNING, failed)

    assert (told.data["failure"]["unit_id"], told.data["failure"]["exit_code"]) == (CRASH.unit_id, 1)
    assert sentence(told) == (
        "The job failed with SCRIPT_FAILED: exit code 1 see the log (1 of 2 units completed, 3 credits spent)."
    )


def every_event() -> list[Event]:
    done = replace(CLAIMED, outputs=(Output("m", ArtifactKind.MODEL, 7, SHA256),), finished_at=NOW)
    changes: list[tuple[Unit, Unit]] = [
        (a_unit(status=UnitStatus.WAITING), QUEUED),
        (CLAIMED, replace(CLAIMED, attempt=2)),
        (CLAIMED, replace(done, status=UnitStatus.COMPLETED)),
        (CLAIMED, replace(done, status=UnitStatus.FAILED)),
        (CLAIMED, replace(done, status=UnitStatus.CANCELLED)),
    ]
    found = [event for before, after in changes for event in events_of_unit(before, after)]
    found += events_of_job(None, replace(RUNNING, cancel_requested_at=NOW))
    for status in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED):
        found += events_of_job(RUNNING, replace(RUNNING, status=status, finished_at=NOW))
    return [*found, credits_low(NEW, 3)]


def test_every_kind_of_event_has_a_sentence() -> None:
    events = every_event()

    assert {event.type for event in events} == set(EventType) - {EventType.WEBHOOK_TEST}
    assert all(sentence(event).endswith(".") and "None" not in sentence(event) for event in events)


def test_few_credits_are_told_once_a_day_by_the_first_job_that_finds_them() -> None:
    world, clock = World(), FixedClock()
    ledger, events = MemoryLedgerStore(world), MemoryEventStore(world)
    announcer = Announcer(events=events, ledger=ledger, idempotency=MemoryIdempotencyStore(world, clock))
    ledger.post(a_grant(amount=99))
    jobs = [replace(NEW, id=f"job-{at}", created_at=NOW + timedelta(hours=hours)) for at, hours in enumerate((0, 1, 23, 24))]

    for job in (*jobs, *jobs):
        clock.advance(1)
        announcer.job_written(None, job)

    warned = {
        job.id: [event for event in events.page(job.id, limit=9, key=None).items if "credits" in event.type] for job in jobs
    }
    assert [len(warned[job.id]) for job in jobs] == [1, 0, 0, 1]
    assert warned["job-0"][0].id == f"credits.low#{CUSTOMER_ID}#2026-01-01"
    assert warned["job-0"][0].data == {"available": 99, "threshold": 100}
