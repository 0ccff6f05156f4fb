"""A plan as rows: ids, pools, classes and who waits for whom."""

import pytest

from gpupool.errors import ValidationFailed
from gpupool.jobs.model import Sensitivity
from gpupool.planning.plan import plan
from gpupool.planning.to_units import units_of
from gpupool.units.model import Pool, UnitStatus
from gpupool.wire.vocabulary import CapabilityClass, UnitRole
from tests.unit.planning.builders import NOW, SINGLE, a_job, a_request, parsed

PLANNED = plan(parsed(SINGLE + '[evaluate]\nentry = "evaluate.py"\n[parameters]\nrate = 1.0'), a_request())


def test_rows_follow_the_plan() -> None:
    prepare, train, evaluate, package = units_of(PLANNED, a_job(), NOW, start=0, stop=4)
    assert [unit.id for unit in (prepare, train, evaluate, package)] == [f"0190-job.{index:05d}" for index in range(4)]
    assert [unit.dependents for unit in (prepare, train, evaluate, package)] == [(1,), (2, 3), (3,), ()]
    assert [unit.open_needs for unit in (prepare, train, evaluate, package)] == [set(), {0}, {1}, {1, 2}]
    assert [unit.capability for unit in (prepare, train)] == [CapabilityClass.CPU, CapabilityClass.GPU_8G]
    assert (train.work.role, train.work.entry, train.work.parameters) == (UnitRole.TRAIN, "train.py", {"rate": 1.0})
    assert train.credits_max == 40


def test_a_new_row_waits_and_belongs_to_the_jobs_customer() -> None:
    for unit in units_of(PLANNED, a_job(customer_id="someone"), NOW, start=0, stop=4):
        assert (unit.status, unit.attempt, unit.version, unit.credits) == (UnitStatus.WAITING, 0, 1, 0)
        assert (unit.job_id, unit.customer_id, unit.created_at) == ("0190-job", "someone", NOW)


@pytest.mark.parametrize(
    ("sensitivity", "pool"), [(Sensitivity.PUBLIC, Pool.PUBLIC), (Sensitivity.LOW_SENSITIVE, Pool.CONTROLLED)]
)
def test_the_pool_follows_from_the_sensitivity(sensitivity: Sensitivity, pool: Pool) -> None:
    assert {unit.pool for unit in units_of(PLANNED, a_job(sensitivity=sensitivity), NOW, start=0, stop=4)} == {pool}


def test_private_jobs_have_no_pool_yet() -> None:
    with pytest.raises(ValidationFailed, match="low_sensitive") as caught:
        units_of(PLANNED, a_job(sensitivity=Sensitivity.PRIVATE), NOW, start=0, stop=4)
    assert caught.value.details["field"] == "/sensitivity"


def test_planning_twice_makes_the_same_rows() -> None:
    assert units_of(PLANNED, a_job(), NOW, start=0, stop=4) == units_of(PLANNED, a_job(), NOW, start=0, stop=4)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_slices_together_are_the_whole(size: int) -> None:
    whole = units_of(PLANNED, a_job(), NOW, start=0, stop=4)
    slices = [units_of(PLANNED, a_job(), NOW, start=at, stop=at + size) for at in range(0, 4, size)]
    assert sum(slices, ()) == whole
