"""Events as sentences for people; programs read ``type`` and ``data``."""

from typing import Any

from gpupool.events.model import Event, EventType


def sentence(event: Event) -> str:
    """What happened, in one sentence."""
    facts = event.data
    if "unit_id" in facts:
        return _of_unit(event.type, facts)
    if event.type is EventType.CREDITS_LOW:
        return f"{facts['available']} credits were left after this job was submitted; buy more before the next one."
    return _of_job(event.type, facts)


def _of_job(kind: EventType, facts: dict[str, Any]) -> str:
    name = facts["name"]
    if kind is EventType.JOB_CREATED:
        return f"The job {name} was submitted, and {facts['credits_held']} credits are held for it."
    if kind is EventType.JOB_STARTED:
        return f"The job was planned into {_units(facts['units_total'])} and started."
    if kind is EventType.JOB_CANCEL_REQUESTED:
        return "A cancel was asked for; what runs is being stopped."
    done = f"{facts['units_completed']} of {_units(facts['units_total'])} completed, {facts['credits_spent']} credits spent."
    if kind is EventType.JOB_FAILED:
        return f"The job failed{_because(facts)} ({done.rstrip('.')})."
    if kind is EventType.JOB_CANCELLED:
        return f"The job was cancelled: {done}"
    return f"The job completed: {done}"


def _of_unit(kind: EventType, facts: dict[str, Any]) -> str:
    name = facts["unit_name"]
    attempt = facts.get("attempt")
    if kind is EventType.UNIT_QUEUED:
        return f"{name} waits for a machine."
    if kind is EventType.UNIT_STARTED:
        return f"{name} started on {facts.get('node_name', 'a machine')}, attempt {attempt}."
    if kind is EventType.UNIT_RETRIED:
        return f"Attempt {attempt} of {name} failed{_because(facts)}. It is tried again."
    if kind is EventType.UNIT_COMPLETED:
        return f"{name} completed on attempt {attempt} and cost {facts['credits']} credits."
    if kind is EventType.UNIT_FAILED:
        return f"{name} failed{_because(facts)}."
    if kind is EventType.UNIT_CANCELLED:
        return f"{name} was stopped on attempt {attempt}, because its job ended."
    names = ", ".join(each["name"] for each in facts["artifacts"])
    return f"{name} left {names}."


def _because(facts: dict[str, Any]) -> str:
    cause = facts.get("failure")
    if cause is None:
        return ""
    return f" with {cause['code']}: {' '.join(cause['message'].split()).rstrip('.')}"


def _units(count: int) -> str:
    return "1 unit" if count == 1 else f"{count} units"
