"""The timeline of a job: everything that happened to it, in order, with causes; and nothing twice."""

from typing import Any

from bench.simulate.stories import check_story
from gpupool.events.model import Event
from gpupool.jobs.model import Job
from gpupool.wire.failures import FailureCode
from gpupool.wire.units import ReportResponse, UnitGrant
from tests.platform import LEASE_SECONDS, Machine, Platform

LAPSE = LEASE_SECONDS + 2


class Ticking(Machine):
    """A machine that takes a second for everything, so that no two things happen at once."""

    def take(self) -> UnitGrant:
        self._platform.tick(1)
        return super().take()

    def complete(self, grant: UnitGrant, **how: Any) -> ReportResponse:
        self._platform.tick(1)
        answer = super().complete(grant, **how)
        self._platform.settle()
        return answer

    def fail(self, grant: UnitGrant, code: FailureCode, **how: Any) -> ReportResponse:
        self._platform.tick(1)
        answer = super().fail(grant, code, **how)
        self._platform.settle()
        return answer


def a_running_job() -> tuple[Platform, Job]:
    platform = Platform()
    job = platform.submit()
    platform.tick(1)
    platform.settle()
    return platform, job


def told(platform: Platform, job: Job) -> list[str]:
    return [_short(event) for event in platform.events(job)]


def _short(event: Event) -> str:
    name = event.data.get("unit_name", "")
    cause = event.data.get("failure", {}).get("code", "")
    return " ".join(word for word in (str(event.type), name, cause) if word)


def check(platform: Platform, job: Job) -> None:
    check_story(platform.job(job), platform.units(job), platform.events(job))


def test_a_job_that_goes_well() -> None:
    platform, job = a_running_job()
    machine = Ticking(platform)
    for _ in range(3):
        machine.complete(machine.take())

    lines = told(platform, job)
    assert lines[:5] == ["job.created", "job.started", "unit.queued prepare", "unit.started prepare", "unit.completed prepare"]
    assert sorted(lines[5:]) == sorted(
        [
            *("unit.queued train", "unit.started train", "unit.completed train", "artifact.ready train"),
            *("unit.queued package", "unit.started package", "unit.completed package", "artifact.ready package"),
            "job.completed",
        ]
    )
    check(platform, job)


def test_a_unit_that_is_tried_again_tells_every_cause() -> None:
    platform, job = a_running_job()
    silent, draining, last = Ticking(platform), Ticking(platform), Ticking(platform)
    silent.take()
    platform.tick(LAPSE)
    draining.fail(draining.take(), FailureCode.NODE_DRAINED)
    last.fail(last.take(), FailureCode.TIMED_OUT)

    assert told(platform, job) == [
        "job.created",
        "job.started",
        "unit.queued prepare",
        "unit.started prepare",
        "unit.retried prepare LEASE_EXPIRED",
        "unit.started prepare",
        "unit.retried prepare NODE_DRAINED",
        "unit.started prepare",
        "job.failed TIMED_OUT",
        "unit.failed prepare TIMED_OUT",
    ]
    check(platform, job)


def test_a_cancelled_job_tells_what_it_stopped() -> None:
    platform, job = a_running_job()
    Ticking(platform).take()
    platform.settle()
    platform.tick(1)
    platform.cancel(platform.job(job))
    platform.settle()

    assert told(platform, job)[3:] == [
        "unit.started prepare",
        "job.cancel_requested",
        "job.cancelled",
        "unit.cancelled prepare",
    ]
    check(platform, job)


def test_heartbeats_tell_nothing_and_reach_no_function() -> None:
    platform, job = a_running_job()
    machine = Ticking(platform)
    grant = machine.take()
    platform.settle()
    before = platform.events(job)
    seen = len(platform.received)

    for _ in range(5):
        platform.tick(5)
        machine.heartbeat(grant, fraction=0.5)
        machine.heartbeat(grant, stage="claimed")
    platform.settle()

    assert platform.events(job) == before
    assert len(platform.received) == seen


def test_records_that_come_again_tell_nothing_new() -> None:
    platform, job = a_running_job()
    machine = Ticking(platform)
    machine.fail(machine.take(), FailureCode.SCRIPT_FAILED)
    platform.tick(600)
    machine.work_off()
    before = platform.events(job)

    for change in list(platform.stream.delivered):
        platform.receive(change)

    assert platform.events(job) == before
    check(platform, job)
