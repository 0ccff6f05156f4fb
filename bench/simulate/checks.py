"""What must hold once nothing moves any more."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import timedelta

from bench.simulate.books import check_books
from bench.simulate.deployment import Deployment
from bench.simulate.executions import At
from bench.simulate.machines import LEAVES_A_MODEL, MEASURED
from bench.simulate.prices import check_prices
from bench.simulate.stories import check_story
from bench.simulate.violations import expect, expect_equal
from gpupool.events.model import SUBSCRIBABLE, Event
from gpupool.jobs.model import Job
from gpupool.ledger.model import EntryKind
from gpupool.recovery.endings import EVENTS_PER_JOB
from gpupool.units.artifacts import artifacts_of
from gpupool.units.model import Unit, UnitStatus
from gpupool.webhooks.model import DeliveryStatus
from gpupool.wire.failures import FailureCode
from gpupool.wire.vocabulary import ArtifactKind
from gpupool.world import World

# But for what clocks differ by.
_A_DAY = timedelta(hours=24) - timedelta(seconds=2)


def _may_be_forgotten(deployment: Deployment, event: Event) -> bool:
    """Recovery looks at the latest page of a timeline only, and at the job's own events."""
    job_id, timeline = event.job_id, deployment.world.events[event.job_id]
    given_up = f"events of {job_id}" in deployment.lost
    return given_up and len(timeline) > EVENTS_PER_JOB and not event.type.startswith("job.")


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
            ours = FailureCode.PLANNING_FAILED if job.started_at is None else FailureCode.INTERNAL
            expect_equal(job.failure.code, ours, f"{job.id} fails for a unit's reason, or for ours")
        check_prices(job, units)
        _check_patience(world, job, units)
        done = all(unit.status is UnitStatus.COMPLETED for unit in units)
        expect(job.status != "completed" or (done and bool(units)), "completed jobs are complete", job.id)
        whole = [unit for unit in units if unit.id not in deployment.lost]
        check_story(job, whole, world.events.get(job.id, {}).values())
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


def _check_patience(world: World, job: Job, units: Iterable[Unit]) -> None:
    """As long as others of a job are served, its units have only to wait; and then for a day."""
    mine = (entry for entry in world.transfers[job.customer_id].values() if entry.job_id == job.id)
    served = [entry.created_at for entry in mine if entry.kind is EntryKind.DEBIT]
    for unit in units:
        if unit.failure is None or unit.failure.code is not FailureCode.DISPATCH_FAILED:
            continue
        if unit.queued_at is not None and unit.finished_at is not None:
            heard = max([unit.queued_at, *(at for at in served if at < unit.finished_at)])
            expect(unit.finished_at - heard > _A_DAY, "a unit waits for a day, as long as it may be served", (unit.id, heard))


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
            wanted = [event for event in by_customer[customer_id] if event.type in endpoint.events]
            _check_endpoint(deployment, world, endpoint.id, wanted)


def _check_endpoint(deployment: Deployment, world: World, endpoint_id: str, wanted: list[Event]) -> None:
    deliveries = list(world.deliveries.get(endpoint_id, {}).values())
    told = Counter(each.event_id for each in deliveries)
    owed = {event.id for event in wanted if told[event.id] or not _may_be_forgotten(deployment, event)}
    expect_equal(sorted(told.elements()), sorted(owed), f"{endpoint_id} is told every event once")
    sequence = sorted(each.sequence for each in deliveries)
    expect_equal(sequence, list(range(1, len(deliveries) + 1)), f"{endpoint_id} counts without gaps")
    for each in deliveries:
        expect(each.status is not DeliveryStatus.PENDING, "every delivery ends", each.id)
        seen = deployment.postman.seen.get(each.id, 0) > 0
        expect(seen or each.status is not DeliveryStatus.DELIVERED, "delivered means received", each.id)
