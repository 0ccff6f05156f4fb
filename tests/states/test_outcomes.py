"""Where a job stands, whatever its row says; and what a round concludes from what it has counted."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

from gpupool.jobs.model import Job, JobStatus, ReleaseWindow
from gpupool.wire.failures import Blame, FailureCode
from gpupool.workflow.decide import (
    has_room,
    is_held_back,
    is_to_be_watched,
    lacks_consequences,
    outcome_of,
    platform_failure,
    wakes,
)
from gpupool.workflow.model import Outcome
from gpupool.workflow.rounds import Round
from tests.factories import NOW, a_job, a_unit
from tests.states.tables import FAILED

ENDED = {
    JobStatus.COMPLETED: Outcome.COMPLETED,
    JobStatus.FAILED: Outcome.FAILED,
    JobStatus.CANCELLED: Outcome.CANCELLED,
}
CPU, GPU = "cpu", "gpu-8g"


def windows() -> Iterator[ReleaseWindow | None]:
    yield None
    for held, refill_at, met in product((frozenset(), frozenset({CPU})), (0, 1, 2), (frozenset(), frozenset({0}))):
        yield ReleaseWindow(low=0, reach=0, refill_at=refill_at, whole_at=NOW, held=held, met=met)


def jobs() -> Iterator[Job]:
    for status, (total, completed), cancelled, broken in product(
        JobStatus, ((0, 0), (3, 0), (3, 1), (3, 2), (3, 3)), (None, NOW), (None, FAILED)
    ):
        job = a_job(status=status, units_total=total, units_completed=completed, cancel_requested_at=cancelled, broken=broken)
        for closing, fan_outs, window in product((False, True), (frozenset(), frozenset({0}), frozenset({0, 1})), windows()):
            yield replace(job, closing=closing, fan_outs=fan_outs, window=window)


def expected(job: Job) -> Outcome:
    """What is done and paid is completed, even after a cancel, and even after a failure that was heard of late."""
    if job.status in ENDED:
        return ENDED[job.status]
    if 0 < job.units_total == job.units_completed:
        return Outcome.COMPLETED
    if job.cancel_requested_at is not None:
        return Outcome.CANCELLED
    if job.broken is not None or job.closing:
        return Outcome.FAILED
    return Outcome.TEND if is_due(job) else Outcome.ADVANCE


def is_due(job: Job) -> bool:
    """A round is due for a fan-out that none has opened yet, and once as much is paid as makes room for what is held back."""
    holds_back = job.window is not None and bool(job.window.held)
    opened = job.window.met if job.window is not None and holds_back else frozenset()
    makes_room = job.window is not None and holds_back and job.units_completed >= job.window.refill_at
    return makes_room or bool(job.fan_outs - opened)


def test_a_job_stands_where_its_row_says(each: Any) -> None:
    for job in each(jobs()):
        assert outcome_of(job) is expected(job), job


def test_an_execution_is_woken_when_it_waits_and_has_something_to_do(each: Any) -> None:
    for job, token in each(product(jobs(), (None, "token"))):
        has_something = job.status not in ENDED and expected(job) is not Outcome.ADVANCE
        assert wakes(replace(job, task_token=token)) is (token is not None and has_something), job


def test_a_round_knows_when_a_record_was_lost(each: Any) -> None:
    """Fewer units are paid than should be, or nothing is under way in a job that is to go on."""
    for job, overdue, under_way in each(product(jobs(), (0, 1, 2, 3), ({}, {CPU: 1}))):
        lost = job.units_completed < overdue or not under_way
        done = Round(overdue=overdue, under_way=under_way)
        assert lacks_consequences(job, done) is (expected(job) is Outcome.ADVANCE and lost), (job, done)


def test_a_job_that_no_unit_failed_failed_by_the_platform() -> None:
    for status in JobStatus:
        failure = platform_failure(a_job(status=status))
        code = FailureCode.INTERNAL if status is JobStatus.RUNNING else FailureCode.PLANNING_FAILED
        assert (failure.code, failure.blame) == (code, Blame.PLATFORM)
        assert "nothing unfinished was charged" in failure.message


def test_units_behind_the_first_that_is_held_back_wait(each: Any) -> None:
    for window, index, high in each(product(windows(), (0, 1, 2, 3), (None, 0, 1, 2))):
        held = window is not None and high is not None and index >= high
        job = a_job(window=window and replace(window, high=high))
        assert is_held_back(a_unit(index), job) is held, (job.window, index)


def test_a_class_has_room_up_to_half_as_many_again_as_work_in_it(each: Any) -> None:
    for released, under_way, working in each(product((1, 2, 3), range(9), range(6))):
        for known in ({CPU: under_way, GPU: 9}, {GPU: 9}):
            seen = Round(under_way=known, running={CPU: working, GPU: 9} if working else {GPU: 9})
            room = known.get(CPU, 0) < max(released, working * 3 // 2)
            assert has_room(seen, CPU, released=released) is room, (seen, released)


def test_a_round_is_followed_by_another_soon_when_machines_may_be_free(each: Any) -> None:
    """It holds units back, and released three tenths or more of what is under way: nobody knows yet who takes those."""
    for held, released, cpu, gpu in each(product((frozenset(), frozenset({CPU})), range(8), range(8), range(8))):
        done = Round(held=held, released=released, under_way={CPU: cpu, GPU: gpu})
        watched = bool(held) and 10 * released >= 3 * (cpu + gpu)
        assert is_to_be_watched(done) is watched, done
