"""Which events a write of a job or a unit makes. The same images make the same events, however often they come."""

from datetime import datetime
from typing import Any

from gpupool.events.model import LOW_CREDITS, Event, EventType
from gpupool.ids import artifact_id
from gpupool.jobs.model import Job, JobStatus
from gpupool.units.model import Failure, Unit, UnitStatus
from gpupool.wire.failures import FailureCode, blame_of

_JOB_ENDS = {
    JobStatus.COMPLETED: EventType.JOB_COMPLETED,
    JobStatus.FAILED: EventType.JOB_FAILED,
    JobStatus.CANCELLED: EventType.JOB_CANCELLED,
}
_UNIT_ENDS = {
    UnitStatus.COMPLETED: EventType.UNIT_COMPLETED,
    UnitStatus.FAILED: EventType.UNIT_FAILED,
    UnitStatus.REJECTED: EventType.UNIT_FAILED,
}


def events_of_job(before: Job | None, after: Job) -> tuple[Event, ...]:
    """What a job's write tells; nothing for the many writes that only count and park."""
    found = []
    if before is None:
        found.append(_of_job(after, EventType.JOB_CREATED, after.created_at, credits_held=after.quote.credits))
    if after.started_at is not None and (before is None or before.started_at is None):
        found.append(_of_job(after, EventType.JOB_STARTED, after.started_at, units_total=after.units_total))
    if after.cancel_requested_at is not None and (before is None or before.cancel_requested_at is None):
        found.append(_of_job(after, EventType.JOB_CANCEL_REQUESTED, after.cancel_requested_at))
    if not after.is_live and (before is None or before.is_live):
        found.append(_end_of_job(after))
    return tuple(found)


def events_of_unit(before: Unit | None, after: Unit) -> tuple[Event, ...]:
    """What a unit's write tells; nothing for heartbeats and bells that ring again."""
    if after.status is UnitStatus.RUNNING:
        return _claim(before, after)
    if before is not None and before.status is after.status:
        return ()
    was_running = before is not None and before.status is UnitStatus.RUNNING
    if after.status is UnitStatus.QUEUED:
        at = after.queued_at or after.created_at
        return (_retry(after, after, at) if was_running else _of_unit(after, EventType.UNIT_QUEUED, at),)
    if after.status in _UNIT_ENDS:
        return _end_of_unit(after)
    if after.status is UnitStatus.CANCELLED and was_running:
        return (_of_unit(after, EventType.UNIT_CANCELLED, after.finished_at or after.created_at, attempt=after.attempt),)
    return ()


def credits_low_id(customer_id: str, at: datetime) -> str:
    """One per customer and day in UTC, whichever of the day's jobs makes it."""
    return f"{EventType.CREDITS_LOW}#{customer_id}#{at:%Y-%m-%d}"


def credits_low(job: Job, available: int) -> Event:
    """That the submit of ``job`` left fewer than ``LOW_CREDITS``."""
    at = job.created_at
    data = {"available": available, "threshold": LOW_CREDITS}
    return Event(credits_low_id(job.customer_id, at), job.customer_id, job.id, EventType.CREDITS_LOW, at, data)


def _claim(before: Unit | None, after: Unit) -> tuple[Event, ...]:
    """A new attempt. One over a lapsed lease never passes through the queue, so it also tells how the last one ended."""
    if before is not None and (before.status, before.attempt) == (UnitStatus.RUNNING, after.attempt):
        return ()
    at = after.started_at or after.created_at
    started = _of_unit(after, EventType.UNIT_STARTED, at, attempt=after.attempt, node_name=after.node_name)
    if before is None or before.status is not UnitStatus.RUNNING:
        return (started,)
    return (_retry(before, after, at), started)


def _retry(ended: Unit, after: Unit, at: datetime) -> Event:
    """The attempt of ``ended`` failed, and the unit goes on in ``after``."""
    failure = after.failure
    if failure is None or failure.attempt != ended.attempt:
        message = f"The node stopped reporting on attempt {ended.attempt} of {ended.max_attempts}."
        failure = Failure(FailureCode.LEASE_EXPIRED, blame_of(FailureCode.LEASE_EXPIRED), message)
    facts = {"attempt": ended.attempt, "node_name": ended.node_name, "failure": _cause(failure)}
    return _of_unit(after, EventType.UNIT_RETRIED, at, **facts)


def _end_of_unit(after: Unit) -> tuple[Event, ...]:
    at = after.finished_at or after.created_at
    facts: dict[str, Any] = {"attempt": after.attempt, "node_name": after.node_name}
    if after.status is UnitStatus.COMPLETED:
        facts["credits"] = after.credits
    elif after.failure is not None:
        facts["failure"] = _cause(after.failure)
    ended = _of_unit(after, _UNIT_ENDS[after.status], at, **facts)
    if not after.outputs:
        return (ended,)
    left = [{"id": artifact_id(after.id, each.name), "kind": str(each.kind), "name": each.name} for each in after.outputs]
    return (ended, _of_unit(after, EventType.ARTIFACT_READY, at, attempt=after.attempt, artifacts=left))


def _end_of_job(after: Job) -> Event:
    facts: dict[str, Any] = {
        "units_total": after.units_total,
        "units_completed": after.units_completed,
        "credits_spent": after.credits_spent,
    }
    if after.failure is not None:
        facts["failure"] = _cause(after.failure) | _present(unit_id=after.failure.unit_id)
    return _of_job(after, _JOB_ENDS[after.status], after.finished_at or after.created_at, **facts)


def _of_job(job: Job, kind: EventType, at: datetime, **facts: Any) -> Event:
    """A job does each of these once, so its id and the type name the event."""
    data = _present(name=job.name, status=str(job.status), **facts)
    return Event(f"{job.id}#{kind}", job.customer_id, job.id, kind, at, data)


def _of_unit(unit: Unit, kind: EventType, at: datetime, **facts: Any) -> Event:
    """The version is that of the write; padded, so that the ids of one moment keep the order of the writes. A unit ends once,
    and its row may be written afterwards: whoever tells of the end again, from the row alone, makes the same event."""
    written = "ended" if unit.is_final else f"{unit.version:06d}"
    data = _present(unit_id=unit.id, unit_name=unit.name, role=str(unit.work.role), status=str(unit.status), **facts)
    return Event(f"{unit.id}#{written}#{kind}", unit.customer_id, unit.job_id, kind, at, data)


def _cause(failure: Failure) -> dict[str, Any]:
    """Why something ended badly; the tail of the log stays on the unit."""
    cause = {"code": str(failure.code), "blame": str(failure.blame), "message": failure.message}
    return cause | _present(exit_code=failure.exit_code)


def _present(**facts: Any) -> dict[str, Any]:
    """What is known: storage has no word for None inside a row."""
    return {name: fact for name, fact in facts.items() if fact is not None}
