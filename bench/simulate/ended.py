"""What must hold of a job that has ended, and of each of its units."""

from collections.abc import Sequence
from datetime import timedelta

from bench.simulate.deployment import Deployment
from bench.simulate.loop import CLOCKS_DIFFER
from bench.simulate.machines import LEAVES_A_MODEL, MEASURED, PEAK_MB
from bench.simulate.violations import expect, expect_equal
from gpupool.jobs.model import Job
from gpupool.ledger.model import EntryKind
from gpupool.units.artifacts import artifacts_of
from gpupool.units.model import Unit, UnitStatus
from gpupool.wire.failures import FailureCode
from gpupool.wire.vocabulary import ArtifactKind
from gpupool.world import World

_BROKEN = (UnitStatus.FAILED, UnitStatus.REJECTED)


def check_ended(job: Job, units: Sequence[Unit]) -> None:
    """It ended as its units did, or as its customer wished, and says why."""
    expect(not job.is_live, "no job waits for ever", job.id)
    expect((job.failure is not None) == (job.status == "failed"), "failed jobs say why", (job.id, job.status))
    asked = job.cancel_requested_at is not None
    expect(asked or job.status != "cancelled", "only whom a customer cancels is cancelled", job.id)
    broken = [unit for unit in units if unit.status in _BROKEN]
    if broken and job.status == "failed":
        first = min(broken, key=lambda unit: (str(unit.finished_at), unit.id))
        expect_equal(job.failure, first.failure, f"{job.id} failed for the reason of the unit that failed first")
    if job.failure is not None and not broken:
        ours = FailureCode.PLANNING_FAILED if job.started_at is None else FailureCode.INTERNAL
        expect_equal(job.failure.code, ours, f"{job.id} fails for a unit's reason, or for ours")
    done = all(unit.status is UnitStatus.COMPLETED for unit in units)
    expect(job.status != "completed" or (done and bool(units)), "completed jobs are complete", job.id)


def check_patience(world: World, job: Job, units: Sequence[Unit]) -> None:
    """As long as others of a job are served, its units have only to wait; and then for a day."""
    mine = (entry for entry in world.transfers[job.customer_id].values() if entry.job_id == job.id)
    served = [entry.created_at for entry in mine if entry.kind is EntryKind.DEBIT]
    for unit in units:
        if unit.failure is None or unit.failure.code is not FailureCode.DISPATCH_FAILED:
            continue
        if unit.queued_at is not None and unit.finished_at is not None:
            heard = max([unit.queued_at, *(at for at in served if at < unit.finished_at)])
            waited = unit.finished_at - heard
            expect(waited > timedelta(days=1) - CLOCKS_DIFFER, "a unit waits for a day, as long as it may be served", unit.id)


def check_left(deployment: Deployment, unit: Unit) -> None:
    """What a unit leaves behind, and what it does not."""
    expect(unit.lease is None, "no lease survives its unit", unit.id)
    left = artifacts_of(unit)
    expect(len(left) == len(unit.outputs), "what a unit left is listed", (unit.id, unit.status))
    lost = [each.id for each in left if deployment.objects.head(each.key) is None]
    expect(not lost, "artifacts are kept with the result", lost)
    taken_back = deployment.watch.taken_back[unit.id]
    expect(unit.max_attempts >= min(3 + taken_back, 10), "what an owner takes back is no attempt", (unit.id, taken_back))
    if unit.status is UnitStatus.COMPLETED:
        has = any(each.kind is ArtifactKind.MODEL for each in unit.outputs)
        expect(has or unit.work.role not in LEAVES_A_MODEL, "who is paid for a model leaves one", unit.id)
        measured = (list(unit.metrics), unit.peak_memory_mb)
        expect_equal(measured, ([MEASURED], PEAK_MB), f"{unit.id} says what its report measured")
