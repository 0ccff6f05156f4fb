"""What counts as wrong. Pure; whatever is young enough to be on its way yet is left alone.

An alarm hangs on every finding, so only what is proven is one. A unit that waits for hours in a busy pool, or whose machine has
vanished while nobody else is there, is ordinary: its message is still in the queue, or among the dead letters that ring again.
The same unit beside an empty queue is not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from gpupool.events.decide import events_of_job
from gpupool.events.model import SUBSCRIBABLE, Event
from gpupool.ids import unit_id
from gpupool.jobs.model import Job, JobStatus
from gpupool.ledger.model import Balance
from gpupool.pages import Key
from gpupool.recovery.model import Evidence, Finding
from gpupool.units.decide import bell_is_stale, due, is_ready
from gpupool.units.edges import gathers
from gpupool.units.model import Unit, UnitStatus
from gpupool.units.rows import key_before
from gpupool.webhooks.model import Endpoint
from gpupool.workflow.decide import is_held_back
from gpupool.workflow.executions import execution_name
from gpupool.workflow.model import Run

# A submit's record starts the execution within a second; a function that fails is retried for minutes.
STARTED_AFTER = timedelta(minutes=10)
# What ends an execution has another one close the job: a call that is retried with growing pauses.
CLOSED_AFTER = timedelta(minutes=30)
# A queue's count lags by a minute, and the record that rings may be retried before that.
HEARD_AFTER = timedelta(minutes=10)
# Longer than ``units.decide.due`` waits for somebody to take a lapsed lease over.
LAPSED_AFTER = timedelta(minutes=15)
# The units of a large job are released page by page, which takes minutes.
RELEASED_AFTER = timedelta(minutes=30)
# Both streams deliver within a second; again, retries take minutes.
PAID_AFTER = timedelta(minutes=10)
TOLD_AFTER = timedelta(minutes=10)
# Deliveries are kept for 30 days. Of an older event none is left, and it was delivered long ago.
DELIVERED_WITHIN = timedelta(days=29)


def finding_of(unit: Unit, job: Job, now: datetime, evidence: Evidence) -> Finding | None:
    """What is wrong with a unit of a live job; None when nothing is, or nothing is known to be."""
    if not job.is_live:
        return None
    if unit.status is UnitStatus.COMPLETED:
        return _of_completed(unit, now, evidence)
    if is_ready(unit):
        if is_held_back(unit, job):
            return None
        return Finding.READY_NOT_RELEASED if _older(evidence.ready_since, RELEASED_AFTER, now) else None
    if evidence.bells != 0:
        return None
    if unit.status is UnitStatus.QUEUED:
        return Finding.QUEUED_WITHOUT_MESSAGE if _older(unit.rung_at or unit.queued_at, HEARD_AFTER, now) else None
    lapsed = unit.lease is not None and _older(unit.lease.expires_at, LAPSED_AFTER, now)
    return Finding.LEASE_WITHOUT_NODE if lapsed else None


def _of_completed(unit: Unit, now: datetime, evidence: Evidence) -> Finding | None:
    if not _older(unit.finished_at, PAID_AFTER, now):
        return None
    if not evidence.paid:
        return Finding.COMPLETED_WITHOUT_DEBIT
    return Finding.NEED_NOT_OPENED if evidence.awaited else None


def moved(unit: Unit, job: Job, *, now: datetime) -> Unit | None:
    """The unit after the repair of its finding, for those that a write of its row repairs: its stream does the rest.

    Rings at once where ``due`` would still wait, because here the bell is known to be lost.
    """
    if unit.status is UnitStatus.QUEUED and not bell_is_stale(unit, progressed_at=job.progressed_at, now=now):
        return replace(unit, rung_at=now)
    return due(unit, progressed_at=job.progressed_at, now=now)


def unpaid(job: Job, units: Sequence[Unit], *, now: datetime) -> tuple[Unit, ...]:
    """Completed units that may not have been paid, or are still waited for. ``units`` must be all of the job's.

    A job counts how many were paid, and not which: when it is too few, all are tried. Whatever waits for a fan-out that the
    execution knows of is opened by it, as there is room.
    """
    completed = (unit for unit in units if unit.status is UnitStatus.COMPLETED)
    old = tuple(unit for unit in completed if _older(unit.finished_at, PAID_AFTER, now))
    if job.units_completed < len(old):
        return old
    waited_for = awaited(units, frozenset(unit.index for unit in old) - job.fan_outs)
    return tuple(unit for unit in old if unit.index in waited_for)


def awaited(units: Iterable[Unit], completed: frozenset[int]) -> frozenset[int]:
    """Indexes that units still wait for although they are among the ``completed``.

    A unit that gathers keeps gates open, and which need a gate is open for shows only when nothing else can be meant: when all
    its needs are completed. Then it counts as waiting for each of them.
    """
    waiting = [unit for unit in units if unit.status is UnitStatus.WAITING and unit.open_needs]
    own = {need for unit in waiting if not gathers(unit.needs) for need in unit.open_needs}
    gathered = {need for unit in waiting if gathers(unit.needs) and completed.issuperset(unit.needs) for need in unit.needs}
    return completed & (own | gathered)


def ready_since(unit: Unit, job: Job, known: Mapping[int, Unit]) -> datetime | None:
    """Since when a ready unit is ready; None when that does not follow from the units that are ``known``."""
    moments = [known[need].finished_at if need in known else None for need in unit.needs] if unit.needs else [job.started_at]
    told = [moment for moment in moments if moment is not None]
    return max(told) if len(told) == len(moments) else None


def execution_of(job: Job) -> str:
    """The name of the execution that drives the job."""
    return execution_name(job.id, job.generation)


def is_young(job: Job, *, now: datetime) -> bool:
    """Whether the job may still be on its way: to its start, or to what follows from its end."""
    if job.is_live:
        return not _older(job.created_at, STARTED_AFTER, now)
    return not _older(job.finished_at, TOLD_AFTER, now)


def is_deserted(run: Run | None, *, now: datetime) -> bool:
    """Whether the execution of a live job, which is not young, drives it no more."""
    return run is None or _older(run.ended_at, CLOSED_AFTER, now)


def story_of(job: Job) -> tuple[Event, ...]:
    """The job's own events, as its writes told them, made from its row as it is now."""
    states = [replace(job, status=JobStatus.QUEUED, started_at=None, cancel_requested_at=None, failure=None)]
    if job.started_at is not None:
        states.append(replace(states[-1], status=JobStatus.RUNNING, started_at=job.started_at))
    if job.cancel_requested_at is not None:
        states.append(replace(states[-1], cancel_requested_at=job.cancel_requested_at))
    if not job.is_live:
        states.append(job)
    return tuple(
        event for before, after in zip([None, *states], states, strict=False) for event in events_of_job(before, after)
    )


def was_due_to(endpoint: Endpoint, event: Event, *, now: datetime) -> bool:
    """Whether a delivery of the event to the endpoint must be there.

    Of an endpoint that was changed since, nobody knows what it asked for then.
    """
    if event.type not in SUBSCRIBABLE or event.type not in endpoint.events or endpoint.disabled_at is not None:
        return False
    unchanged = max(endpoint.created_at, endpoint.updated_at) < event.at
    return unchanged and now - DELIVERED_WITHIN < event.at < now - TOLD_AFTER


def held_by(jobs: Iterable[Job]) -> int:
    """The credits that live jobs hold: of each what it can cost, less what it has cost."""
    return sum(job.quote.credits - job.credits_spent for job in jobs if job.is_live)


def agrees(balance: Balance, jobs: Iterable[Job]) -> bool:
    """Whether the customer's held credits are those of its live jobs; all as of one moment."""
    return balance.held == held_by(jobs)


def turn(ids: Sequence[str], *, run: int, size: int) -> tuple[tuple[str, ...], int]:
    """The ids that the ``run``-th run looks at, ``size`` at most, and how often it has been round them all by then.

    The place follows from the run's number, so nobody keeps it. When the list changes between two runs an id may be passed
    over, until the next time round.
    """
    rounds = max(1, -(-len(ids) // size))
    at = run % rounds * size
    return tuple(ids[at : at + size]), run // rounds


def window(job: Job, *, round_: int, size: int) -> tuple[Key | None, bool]:
    """Where to begin among a job's units in this round, ``size`` of which are looked at; and whether those are all it has."""
    windows = max(1, -(-job.units_total // size))
    first = round_ % windows * size
    return key_before(unit_id(job.id, first)), windows == 1


def _older(at: datetime | None, than: timedelta, now: datetime) -> bool:
    return at is not None and now - at > than
