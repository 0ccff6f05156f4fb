"""What must hold when everything has been delivered, whatever went wrong on the way."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from bench.simulate.stories import check_story
from gpupool.events.model import Event
from gpupool.jobs.model import Job
from gpupool.ledger.model import EntryKind
from gpupool.units.model import UnitStatus
from gpupool.webhooks.model import DeliveryStatus
from tests.cloud import rows
from tests.faults.world import World

Row = dict[str, Any]


def violations(world: World) -> list[str]:
    """Every sentence that should have been true and is not."""
    found = list(world.violations)
    jobs = rows.jobs()
    found += _jobs(world, jobs)
    entries = [row for row in rows.rows("ledger") if row["entry_id"] != "balance"]
    for job in jobs:
        found += _money_of(job, entries)
        if not world.gives_up:
            found += _story_of(job)
    found += _accounts(entries)
    found += _leftovers(world, jobs)
    found += _webhooks(world, jobs)
    return found


def _jobs(world: World, jobs: list[Job]) -> Iterator[str]:
    """As many as were submitted, each ended as it may, every unit ended once."""
    if sorted(job.id for job in jobs) != sorted(world.jobs):
        yield f"{len(jobs)} jobs of {len(world.jobs)} submitted"
    for job in jobs:
        wanted = world.jobs.get(job.id, ())
        if str(job.status) not in wanted:
            yield f"job ended {job.status} ({job.failure}), not {' or '.join(wanted)}"
        units = rows.units(job.id)
        open_units = [f"{unit.name} is {unit.status}" for unit in units if not unit.is_final]
        yield from open_units
        if job.status == "completed" and any(unit.status is not UnitStatus.COMPLETED for unit in units):
            yield "the job completed without all of its units"
        if len({unit.id for unit in units}) != job.units_total and units:
            yield f"{len(units)} units of {job.units_total} planned"


def _money_of(job: Job, entries: list[Row]) -> Iterator[str]:
    """One hold; one debit per completed unit and none otherwise; the rest released once."""
    mine = [row for row in entries if row.get("job_id") == job.id]
    by_kind = {kind: [row for row in mine if row["kind"] == kind] for kind in EntryKind}
    completed = {unit.id: unit.credits for unit in rows.units(job.id) if unit.status is UnitStatus.COMPLETED}
    debits = {row["unit_id"]: row["amount"] for row in by_kind[EntryKind.DEBIT]}
    if [row["amount"] for row in by_kind[EntryKind.HOLD]] != [job.quote.credits]:
        yield f"held {[row['amount'] for row in by_kind[EntryKind.HOLD]]} for a quote of {job.quote.credits}"
    if len(by_kind[EntryKind.DEBIT]) != len(debits) or debits != completed:
        yield f"debited {debits} for completed units {completed}"
    if (job.units_completed, job.credits_spent) != (len(completed), sum(completed.values())):
        yield f"the job counts {job.units_completed} units and {job.credits_spent} credits, not {completed}"
    released = sum(row["amount"] for row in by_kind[EntryKind.RELEASE])
    if not job.is_live and released != job.quote.credits - sum(completed.values()):
        yield f"released {released} of {job.quote.credits} after {sum(completed.values())} were spent"


def _accounts(entries: list[Row]) -> Iterator[str]:
    """available + held + spent = granted, and the accounts say what the entries say."""
    for row in rows.rows("ledger"):
        if row["entry_id"] != "balance":
            continue
        mine = [entry for entry in entries if entry["customer_id"] == row["customer_id"]]
        sums = {kind: sum(entry["amount"] for entry in mine if entry["kind"] == kind) for kind in EntryKind}
        accounts = [row.get(name, 0) for name in ("available", "held", "spent", "granted")]
        if sum(accounts[:3]) != accounts[3] or min(accounts) < 0:
            yield f"accounts do not add up: {accounts}"
        held = sums[EntryKind.HOLD] - sums[EntryKind.DEBIT] - sums[EntryKind.RELEASE]
        if accounts[1:] != [held, sums[EntryKind.DEBIT], sums[EntryKind.GRANT]]:
            yield f"accounts {accounts} are not what the entries add up to: {sums}"


def _story_of(job: Job) -> Iterator[str]:
    """Every event of the job and its units is told, once."""
    told: list[Event] = [event for event in rows.events(job.id) if event.type != "credits.low"]
    try:
        check_story(job, rows.units(job.id), told)
    except AssertionError as error:
        yield f"the timeline {dict(Counter(str(event.type) for event in told))} is not what happened: {str(error)[:300]}"


def _leftovers(world: World, jobs: list[Job]) -> Iterator[str]:
    """No hold, no place in the quota, no upload in use and no execution survives its job; no record was given up."""
    live = {job.id for job in jobs if job.is_live}
    for row in rows.rows("ledger"):
        if row["entry_id"] == "balance" and not live and row.get("held", 0):
            yield f"{row['held']} credits are held for nothing"
    for table in ("uploads", "limits"):
        for row in rows.rows(table):
            if set(row.get("live_jobs", ())) - live:
                yield f"{table} count jobs as live that are over"
    for execution in world.cloud.states.executions.values():
        if execution.is_running:
            yield f"an execution still is in {execution.state}"
    for source in world.cloud.sources.streams:
        if source.undelivered and not world.gives_up:
            yield f"{len(source.undelivered)} records of {source.mapping.source} were given up"


def _webhooks(world: World, jobs: list[Job]) -> Iterator[str]:
    """Every event that somebody asked for has one delivery, and it is told or its schedule is used up."""
    deliveries = rows.rows("deliveries")
    wanted: set[tuple[str, str]] = set()
    for endpoint in rows.rows("webhooks"):
        mine = [job.id for job in jobs if job.customer_id == endpoint["customer_id"]]
        events = [event for job_id in mine for event in rows.events(job_id)]
        wanted |= {(endpoint["id"], event.id) for event in events if str(event.type) in endpoint["events"]}
        numbers = sorted(row["sequence"] for row in deliveries if row["endpoint_id"] == endpoint["id"])
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"deliveries are numbered {numbers}"
    made = [(row["endpoint_id"], row["event_id"]) for row in deliveries if not row["event_id"].startswith("webhook.test")]
    complete = Counter(made) <= Counter(wanted) if world.disables_receivers else Counter(made) == Counter(wanted)
    if not complete:
        yield f"{len(made)} deliveries of {len(wanted)} events that were asked for"
    arrived = {arrival.message_id for arrival in world.cloud.receivers.arrivals if arrival.status < 300}
    for row in deliveries:
        if row["status"] == DeliveryStatus.DELIVERED and row["delivery_id"] not in arrived:
            yield "a delivery counts as told that nobody has received"
        if row["status"] == DeliveryStatus.PENDING:
            yield "a delivery still is pending"
