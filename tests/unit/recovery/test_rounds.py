"""A run does so much and no more, and run by run everything gets its turn."""

from datetime import timedelta

import pytest

from gpupool.ids import unit_id
from gpupool.pages import Key, Page
from gpupool.recovery.decide import turn, window
from gpupool.recovery.endings import DELIVERIES_PER_RUN
from gpupool.recovery.service import EVERY_SECONDS, JOBS_PER_RUN
from gpupool.recovery.units import UNITS_PER_LOOK
from gpupool.units.memory import MemoryUnitStore
from gpupool.units.model import Unit, UnitStatus
from gpupool.webhooks.fan_out import MAX_ENDPOINTS
from tests.factories import NOW, a_job, a_unit, dag
from tests.platform import Machine, Platform
from tests.unit.recovery.watch import Watch

OLD = NOW - timedelta(days=1)


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 35])
def test_every_id_gets_its_turn_once_a_round(count: int) -> None:
    ids = [str(at) for at in range(count)]
    rounds = max(1, -(-count // 10))

    turns = [turn(ids, run=run, size=10) for run in range(7 * rounds, 8 * rounds)]

    assert [each for chosen, _ in turns for each in chosen] == ids
    assert {round_ for _, round_ in turns} == {7}
    assert all(len(chosen) <= 10 for chosen, _ in turns)


def test_a_large_job_is_seen_window_by_window_whichever_runs_it_gets() -> None:
    """Also when as many runs make a round as there are windows: else a job would show the same one for ever."""
    job = a_job(units_total=250)
    ids = [str(at) for at in range(30)]
    mine = [round_ for run in range(30) for chosen, round_ in [turn(ids, run=run, size=10)] if "0" in chosen]

    starts = [window(job, round_=round_, size=100) for round_ in mine[:3]]

    keys = [None if key is None else key["unit_id"] for key, _ in starts]
    assert keys == [None, unit_id(job.id, 99), unit_id(job.id, 199)]
    assert not any(whole for _, whole in starts)
    assert window(a_job(units_total=100), round_=5, size=100) == (None, True)


def test_a_run_looks_at_so_many_jobs_and_the_next_ones_at_the_others() -> None:
    watch = Watch(Platform())
    ids = [f"job-{at:04d}" for at in range(2 * JOBS_PER_RUN + 1)]
    for job_id in ids:
        watch.platform.ports.world.jobs[job_id] = a_job(id=job_id, created_at=OLD)

    reports = []
    for _ in range(3):
        reports.append(watch.recovery.run())
        watch.platform.tick(EVERY_SECONDS)

    assert sorted(report.looked_at for report in reports) == [1, JOBS_PER_RUN, JOBS_PER_RUN]
    assert {report.watched for report in reports} == {len(ids)}
    # None of them has an execution, so each that was looked at is found.
    assert sorted(each.about for report in reports for each in report.found) == ids


class Paged(MemoryUnitStore):
    """Remembers how many units each page had; whoever reads them all at once fails."""

    pages: list[int]

    def page(self, job_id: str, *, limit: int, key: Key | None) -> Page[Unit]:
        after = key["unit_id"] if key else ""
        units = [unit for unit in super().all_of(job_id) if unit.id > after][:limit]
        self.pages.append(len(units))
        return Page(tuple(units), None)

    def all_of(self, job_id: str) -> tuple[Unit, ...]:
        raise AssertionError("unbounded")


def test_of_a_large_job_one_page_is_read_a_run_and_in_time_all_of_them() -> None:
    platform = Platform()
    total = 2 * UNITS_PER_LOOK + 1
    job = a_job(created_at=OLD, started_at=OLD, units_total=total)
    platform.ports.world.jobs[job.id] = job
    platform.ports.executions.start(job.id)
    platform.ports.units.add_all(tuple(a_unit(at, status=UnitStatus.WAITING, queued_at=None) for at in range(total)))
    paged = platform.ports.units = Paged(platform.ports.world)
    paged.pages = []
    watch = Watch(platform)

    found = []
    for _ in range(3):
        found += watch.recovery.run().found
        platform.tick(EVERY_SECONDS)

    assert sorted(paged.pages) == [1, UNITS_PER_LOOK, UNITS_PER_LOOK]
    assert sorted(each.about for each in found) == [unit_id(job.id, at) for at in range(total)]


def test_deliveries_are_looked_for_so_many_times_a_run_and_the_rest_waits_for_the_next() -> None:
    watch = Watch(Platform(package=dag(())))
    for _ in range(MAX_ENDPOINTS):
        watch.endpoint()
    machine, jobs = Machine(watch.platform), []
    for _ in range(8):
        jobs.append(watch.platform.submit())
        machine.work_off()
        watch.settle()
    watch.wait(11)
    # job.started, unit.completed and job.completed, to each endpoint
    a_run = -(-DELIVERIES_PER_RUN // (3 * MAX_ENDPOINTS))

    assert watch.look() == {}
    assert sum(watch.is_watched(job) for job in jobs) == len(jobs) - a_run
    for _ in range(2):
        assert watch.look() == {}
    assert not any(watch.is_watched(job) for job in jobs)
