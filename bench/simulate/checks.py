"""What must hold once nothing moves any more."""

from collections import defaultdict

from bench.simulate.books import check_books
from bench.simulate.deployment import Deployment
from bench.simulate.executions import At
from bench.simulate.machines import LEAVES_A_MODEL, MEASURED
from bench.simulate.stories import check_story
from bench.simulate.violations import expect, expect_equal
from gpupool.events.model import SUBSCRIBABLE, Event
from gpupool.units.artifacts import artifacts_of
from gpupool.units.model import UnitStatus
from gpupool.webhooks.model import DeliveryStatus
from gpupool.wire.failures import FailureCode
from gpupool.wire.vocabulary import ArtifactKind
from gpupool.world import World

# What a job fails for of which no unit is broken.
_OURS = (FailureCode.INTERNAL, FailureCode.PLANNING_FAILED)


def check_jobs(deployment: Deployment) -> None:
    """Every job and every unit has ended, and its books and its story say so."""
    world = deployment.world
    check_books(world)
    executions = deployment.executor.all.values()
    expect_equal({each.job_id for each in executions}, set(world.jobs), "every job had its execution")
    for execution in executions:
        expect_equal(execution.at, At.ENDED, f"the execution {execution.name} ended")
    for job in world.jobs.values():
        units = world.units.get(job.id, {}).values()
        expect(not job.is_live, "no job waits for ever", job.id)
        expect((job.failure is not None) == (job.status == "failed"), "failed jobs say why", (job.id, job.status))
        asked = job.cancel_requested_at is not None
        expect(asked or job.status != "cancelled", "only whom a customer cancels is cancelled", job.id)
        broken = [unit for unit in units if unit.status in (UnitStatus.FAILED, UnitStatus.REJECTED)]
        if broken and job.status == "failed":
            first = min(broken, key=lambda unit: (str(unit.finished_at), unit.id))
            expect_equal(job.failure, first.failure, f"{job.id} failed for the reason of the unit that failed first")
        if job.failure is not None and not broken:
            expect(job.failure.code in _OURS, "a job fails for a unit's reason, or for ours", (job.id, job.failure.code))
        done = all(unit.status is UnitStatus.COMPLETED for unit in units)
        expect(job.status != "completed" or (done and bool(units)), "completed jobs are complete", job.id)
        check_story(job, units, world.events.get(job.id, {}).values())
        for unit in units:
            expect(unit.lease is None, "no lease survives its unit", unit.id)
            left = artifacts_of(unit)
            expect(len(left) == len(unit.outputs), "what a unit left is listed", (unit.id, unit.status))
            lost = [each.id for each in left if deployment.objects.head(each.key) is None]
            expect(not lost, "artifacts are kept with the result", lost)
            taken_back = deployment.watch.taken_back[unit.id]
            expect(
                unit.max_attempts >= min(3 + taken_back, 10), "what an owner takes back is no attempt", (unit.id, taken_back)
            )
            owes = unit.status is UnitStatus.COMPLETED and unit.work.role in LEAVES_A_MODEL
            has = any(each.kind is ArtifactKind.MODEL for each in unit.outputs)
            expect(has or not owes, "who is paid for a model leaves one", unit.id)
            if unit.status is UnitStatus.COMPLETED:
                expect_equal(list(unit.metrics), [MEASURED], f"{unit.id} says what its report measured")
    for quota in world.quotas.values():
        expect(not quota.live_jobs, "ended jobs leave the quota", quota)


def check_queues(deployment: Deployment) -> None:
    left = {url: deployment.queue.waiting(url) for url in deployment.ports.queue_urls.by_name.values()}
    expect(not any(left.values()), "no bell is left for units that ended", left)


def check_webhooks(deployment: Deployment) -> None:
    """Every event that somebody asked for has its delivery, in sequence, and every delivery has ended."""
    world = deployment.world
    by_customer: dict[str, list[Event]] = defaultdict(list)
    for shelf in world.events.values():
        for event in shelf.values():
            if event.type in SUBSCRIBABLE:
                by_customer[event.customer_id].append(event)
    for customer_id, endpoints in world.webhooks.items():
        for endpoint in endpoints.values():
            wanted = sorted(event.id for event in by_customer[customer_id] if event.type in endpoint.events)
            _check_endpoint(deployment, world, endpoint.id, wanted)


def _check_endpoint(deployment: Deployment, world: World, endpoint_id: str, wanted: list[str]) -> None:
    deliveries = list(world.deliveries.get(endpoint_id, {}).values())
    expect_equal(sorted(each.event_id for each in deliveries), wanted, f"{endpoint_id} is told every event once")
    sequence = sorted(each.sequence for each in deliveries)
    expect_equal(sequence, list(range(1, len(deliveries) + 1)), f"{endpoint_id} counts without gaps")
    for each in deliveries:
        expect(each.status is not DeliveryStatus.PENDING, "every delivery ends", each.id)
        seen = deployment.postman.seen.get(each.id, 0) > 0
        expect(seen or each.status is not DeliveryStatus.DELIVERED, "delivered means received", each.id)
