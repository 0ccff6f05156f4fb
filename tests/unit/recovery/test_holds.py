"""Holds and jobs are compared as of one moment, however fast credits move."""

from collections.abc import Callable
from dataclasses import replace

from gpupool.clock import FixedClock
from gpupool.jobs.memory import MemoryJobStore
from gpupool.jobs.model import Job
from gpupool.ledger.memory import MemoryLedgerStore
from gpupool.ledger.model import debit
from gpupool.limits.memory import MemoryLimitStore
from gpupool.recovery.holds import HoldCheck
from gpupool.recovery.model import Finding
from gpupool.transitions.memory import MemoryTransitions
from gpupool.world import World
from tests.factories import CUSTOMER_ID, a_unit
from tests.platform import Platform


class BusyJobs(MemoryJobStore):
    """Something happens right after a job was read."""

    def __init__(self, world: World, then: Callable[[Job], None]) -> None:
        super().__init__(world)
        self._then = then

    def get(self, job_id: str) -> Job | None:
        job = super().get(job_id)
        if job is not None:
            self._then(job)
        return job


def check(platform: Platform, *, debits: int, amount: int = 1) -> Finding | None:
    """Looks while so many units are paid, one after every read."""
    world, paid = platform.ports.world, []

    def pay(job: Job) -> None:
        if len(paid) < debits:
            unit = a_unit(len(paid), job_id=job.id, id=f"{job.id}.{len(paid):05d}")
            paid.append(unit)
            price = debit(
                customer_id=CUSTOMER_ID, job_id=job.id, unit_id=unit.id, amount=amount, at=platform.clock.now(), note=""
            )
            assert MemoryTransitions(world, FixedClock()).settle(unit, price)

    jobs = BusyJobs(world, pay)
    found = HoldCheck(ledger=MemoryLedgerStore(world), limits=MemoryLimitStore(world, FixedClock()), jobs=jobs).look(
        CUSTOMER_ID
    )
    return found.finding if found is not None else None


def test_a_debit_between_two_reads_is_no_finding() -> None:
    platform = Platform()
    platform.submit()

    assert check(platform, debits=0) is None
    assert check(platform, debits=1) is None


def test_credits_that_never_rest_are_left_for_another_time() -> None:
    platform = Platform()
    platform.submit()

    assert check(platform, debits=20) is None


def test_a_difference_shows_as_soon_as_they_rest() -> None:
    platform = Platform()
    platform.submit()
    balances = platform.ports.world.balances
    balances[CUSTOMER_ID] = replace(balances[CUSTOMER_ID], held=balances[CUSTOMER_ID].held + 1)

    assert check(platform, debits=2) is Finding.HOLD_WITHOUT_JOB
