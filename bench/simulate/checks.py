"""What must hold once nothing moves any more."""

from collections import Counter, defaultdict

from bench.simulate.books import check_books
from bench.simulate.deployment import Deployment
from bench.simulate.ended import check_ended, check_left, check_patience
from bench.simulate.executions import At
from bench.simulate.prices import check_prices
from bench.simulate.stories import check_story
from bench.simulate.violations import expect, expect_equal
from gpupool.events.model import SUBSCRIBABLE, Event
from gpupool.recovery.endings import EVENTS_PER_JOB
from gpupool.webhooks.model import DeliveryStatus
from gpupool.world import World


def check_jobs(deployment: Deployment) -> None:
    """Every job and every unit has ended, and its books and its story say so."""
    world = deployment.world
    check_books(world)
    executions = deployment.executor.all.values()
    expect_equal({each.job_id for each in executions}, set(world.jobs), "every job had its execution")
    for execution in executions:
        expect_equal(execution.at, At.ENDED, f"the execution {execution.name} ended")
    for job in world.jobs.values():
        units = tuple(world.units.get(job.id, {}).values())
        check_ended(job, units)
        check_prices(job, units)
        check_patience(world, job, units)
        told = [unit for unit in units if unit.id not in deployment.lost]
        check_story(job, told, world.events.get(job.id, {}).values())
        for unit in units:
            check_left(deployment, unit)
    expect(not world.jobs.keys() - world.unwatched, "recovery has looked at every job", world.jobs.keys() - world.unwatched)
    for quota in world.quotas.values():
        expect(not quota.live_jobs, "ended jobs leave the quota", quota)


def check_queues(deployment: Deployment) -> None:
    left = {url: deployment.queue.waiting(url) for url in deployment.ports.queue_urls.by_name.values()}
    expect(not any(left.values()), "no bell is left for units that ended", left)


def _may_be_forgotten(deployment: Deployment, event: Event) -> bool:
    """Recovery looks at the latest page of a timeline only, and at the job's own events."""
    is_long = len(deployment.world.events[event.job_id]) > EVENTS_PER_JOB
    return event.id in deployment.lost and is_long and not event.type.startswith("job.")


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
